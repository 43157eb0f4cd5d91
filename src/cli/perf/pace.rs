//! When each message of a fixed rate is due, whether or not the broker keeps up.

/// The sending times of one producer among several that share a rate.
///
/// Message `n` of producer `p` is number `n * producers + p` of all, so that
/// the producers take turns instead of sending at the same instant. Times
/// follow from the number alone: a producer that was held up sends late, and
/// its messages carry the time they should have gone out (no coordinated
/// omission).
#[derive(Debug, Clone, Copy)]
pub struct Schedule {
    start_ns: u64,
    per_second: u64,
    producers: u64,
    producer: u64,
}

const SECOND_NS: u128 = 1_000_000_000;

impl Schedule {
    /// The schedule of `producer` (from 0) of `producers` (at least 1) that
    /// send `per_second` (at least 1) messages together from `start_ns` on.
    pub fn new(start_ns: u64, per_second: u64, producers: u16, producer: u16) -> Self {
        Self {
            start_ns,
            per_second: per_second.max(1),
            producers: u64::from(producers.max(1)),
            producer: u64::from(producer),
        }
    }

    /// When this producer's message `number` (from 0) is due.
    pub fn due_ns(&self, number: u64) -> u64 {
        let of_all = u128::from(number) * u128::from(self.producers) + u128::from(self.producer);
        // Rounded up, so that at `due_ns` the message counts as due.
        let after = (of_all * SECOND_NS).div_ceil(u128::from(self.per_second));
        self.start_ns.saturating_add(after as u64)
    }

    /// How many of this producer's messages are due at `now_ns`.
    pub fn due_count(&self, now_ns: u64) -> u64 {
        let Some(elapsed) = now_ns.checked_sub(self.start_ns) else {
            return 0;
        };
        let last_of_all = (u128::from(elapsed) * u128::from(self.per_second) / SECOND_NS) as u64;
        match last_of_all.checked_sub(self.producer) {
            Some(since_first) => since_first / self.producers + 1,
            None => 0,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_is_due_exactly_at_its_time() {
        for (rate, producers, producer) in [(5_000, 1, 0), (3, 1, 0), (7_001, 10, 9), (1, 3, 2)] {
            let schedule = Schedule::new(1_000, rate, producers, producer);
            for number in 0..200 {
                let due = schedule.due_ns(number);
                assert_eq!(schedule.due_count(due), number + 1);
                if due > 1_000 {
                    assert_eq!(schedule.due_count(due - 1), number);
                }
            }
        }
    }

    #[test]
    fn together_the_producers_make_the_rate() {
        let after_two_seconds = 2_000_000_000 - 1;
        let sent: u64 = (0..7)
            .map(|producer| Schedule::new(0, 1_000, 7, producer).due_count(after_two_seconds))
            .sum();
        assert_eq!(sent, 2_000);
    }

    #[test]
    fn nothing_is_due_before_the_start() {
        assert_eq!(Schedule::new(500, 1_000_000, 1, 0).due_count(499), 0);
    }
}
