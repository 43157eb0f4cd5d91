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
    QueueId(u64)
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
