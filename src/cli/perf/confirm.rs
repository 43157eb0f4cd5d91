//! A publisher's window of messages that the broker hasn't confirmed yet.

use std::collections::VecDeque;

use super::error::PerfError;

/// Marks a place in the window whose message was confirmed out of order.
const SETTLED: u64 = 0;

/// The unconfirmed messages of one channel, oldest first.
#[derive(Debug)]
pub struct ConfirmWindow {
    limit: usize,
    /// The delivery tag of the front of `sent_ns`.
    first_tag: u64,
    sent_ns: VecDeque<u64>,
    unsettled: usize,
    nacked: u64,
}

/// One `basic.ack` or `basic.nack` from the broker.
#[derive(Debug, Clone, Copy)]
pub struct Settlement {
    /// The delivery tag; 0 with `multiple` is all there is.
    pub tag: u64,
    /// Whether every earlier tag is meant too.
    pub multiple: bool,
    /// Whether the broker did *not* take the messages.
    pub nack: bool,
}

impl ConfirmWindow {
    /// A window of at most `limit` unconfirmed messages on a fresh channel.
    pub fn new(limit: usize) -> Self {
        Self {
            limit,
            first_tag: 1,
            sent_ns: VecDeque::with_capacity(limit.min(65_536)),
            unsettled: 0,
            nacked: 0,
        }
    }

    /// How many messages may be sent now.
    pub fn room(&self) -> usize {
        self.limit.saturating_sub(self.unsettled)
    }

    /// How many messages wait for their confirm.
    pub fn unsettled(&self) -> usize {
        self.unsettled
    }

    /// How many messages the broker refused.
    pub fn nacked(&self) -> u64 {
        self.nacked
    }

    /// Notes that the next message was sent, intended for `sent_ns`.
    pub fn sent(&mut self, sent_ns: u64) {
        self.sent_ns.push_back(sent_ns.max(SETTLED + 1));
        self.unsettled += 1;
    }

    /// Takes one settlement; `each` gets the intended sending time of every
    /// message it confirms. Returns how many it settled.
    ///
    /// # Errors
    /// [`PerfError::Protocol`] when the tag was never given out.
    pub fn settle(
        &mut self,
        settlement: Settlement,
        mut each: impl FnMut(u64),
    ) -> Result<u64, PerfError> {
        let after_last = self.first_tag + self.sent_ns.len() as u64;
        let tag = match settlement.tag {
            0 if settlement.multiple => after_last - 1,
            tag => tag,
        };
        if tag == 0 || tag >= after_last {
            return Err(PerfError::Protocol(format!(
                "the server confirmed delivery tag {tag}, which was not published"
            )));
        }
        let Some(at) = tag.checked_sub(self.first_tag) else {
            return Ok(0);
        };
        let at = at as usize;
        let from = if settlement.multiple { 0 } else { at };
        let mut settled = 0;
        for sent_ns in self.sent_ns.range_mut(from..=at) {
            if *sent_ns != SETTLED {
                each(*sent_ns);
                *sent_ns = SETTLED;
                settled += 1;
            }
        }
        self.unsettled -= settled;
        self.nacked += if settlement.nack { settled as u64 } else { 0 };
        while self.sent_ns.front() == Some(&SETTLED) {
            self.sent_ns.pop_front();
            self.first_tag += 1;
        }
        Ok(settled as u64)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn window(sent: u64) -> ConfirmWindow {
        let mut window = ConfirmWindow::new(10);
        for at in 1..=sent {
            window.sent(at * 100);
        }
        window
    }

    fn settle(window: &mut ConfirmWindow, tag: u64, multiple: bool) -> Vec<u64> {
        let mut times = Vec::new();
        let settlement = Settlement {
            tag,
            multiple,
            nack: false,
        };
        window
            .settle(settlement, |sent_ns| times.push(sent_ns))
            .expect("a tag that was given out");
        times
    }

    #[test]
    fn multiple_settles_everything_before() {
        let mut window = window(5);
        assert_eq!(window.room(), 5);
        assert_eq!(settle(&mut window, 3, true), [100, 200, 300]);
        assert_eq!((window.unsettled(), window.room()), (2, 8));
        assert_eq!(settle(&mut window, 0, true), [400, 500]);
        assert_eq!(window.unsettled(), 0);
    }

    #[test]
    fn single_ones_may_come_in_any_order() {
        let mut window = window(4);
        assert_eq!(settle(&mut window, 3, false), [300]);
        assert_eq!(settle(&mut window, 1, false), [100]);
        assert_eq!(window.unsettled(), 2);
        assert_eq!(settle(&mut window, 4, true), [200, 400]);
        window.sent(900);
        assert_eq!(settle(&mut window, 5, false), [900]);
    }

    #[test]
    fn a_repeated_confirm_counts_once() {
        let mut window = window(2);
        assert_eq!(settle(&mut window, 2, false).len(), 1);
        assert_eq!(settle(&mut window, 2, false).len(), 0);
        assert_eq!(settle(&mut window, 1, true).len(), 1);
        assert_eq!(settle(&mut window, 1, true).len(), 0);
    }

    #[test]
    fn nacks_are_counted_apart() {
        let mut window = window(3);
        let nack = Settlement {
            tag: 2,
            multiple: true,
            nack: true,
        };
        assert_eq!(window.settle(nack, |_| ()).expect("known"), 2);
        assert_eq!((window.nacked(), window.unsettled()), (2, 1));
    }

    #[test]
    fn a_tag_that_was_not_given_out_is_an_error() {
        for tag in [0, 4] {
            let single = Settlement {
                tag,
                multiple: false,
                nack: false,
            };
            assert!(window(3).settle(single, |_| ()).is_err());
        }
    }
}
