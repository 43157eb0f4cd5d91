//! Newtypes for the numbers that name things, so that none is taken for another.

use std::fmt;

macro_rules! id {
    ($(#[$doc:meta])* $name:ident($repr:ty)) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
        pub struct $name(pub $repr);

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.fmt(f)
            }
        }
    };
}

id! {
    /// A client connection, unique while the process lives.
    ConnectionId(u64)
}
id! {
    /// A queue, unique for the life of a data directory: never given out twice.
    ///
    /// The messages of one priority are numbered and stored on their own, as if
    /// they were a queue: the highest octet of the number tells such lanes apart.
    QueueId(u64)
}
impl QueueId {
    const LANE_SHIFT: u32 = 56;

    /// The queue with its plainest lane, number 0, which has the queue's own number.
    pub const fn queue(self) -> Self {
        Self(self.0 & !(0xff << Self::LANE_SHIFT))
    }

    /// The number of the lane.
    pub const fn lane(self) -> u8 {
        (self.0 >> Self::LANE_SHIFT) as u8
    }

    /// Another lane of the same queue.
    pub const fn with_lane(self, lane: u8) -> Self {
        Self(self.queue().0 | (lane as u64) << Self::LANE_SHIFT)
    }
}

id! {
    /// The place of a message in its queue: counts up from 1, kept when it is requeued.
    Position(u64)
}
id! {
    /// A consumer within its queue, unique while the process lives.
    ConsumerId(u64)
}
id! {
    /// A batch of the write-ahead log. Everything appended before a batch was
    /// cut is on disk once the store has reported it synced.
    Batch(u64)
}
