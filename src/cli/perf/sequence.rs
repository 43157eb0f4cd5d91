//! Whether what arrived is what was sent: each once, in order.

use std::collections::VecDeque;

/// How far ahead of the next expected number a message may be before it is
/// taken for somebody else's. Bounds the memory of [`Sequence`] to 128 MiB.
const AHEAD_MAX: u64 = 1 << 30;

const WORD_BITS: u64 = u64::BITS as u64;

/// What one message turned out to be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Arrival {
    /// The first time this number arrived.
    First,
    /// It had arrived before.
    Duplicate,
    /// No such number can have been sent.
    Foreign,
}

/// The numbers that arrived of one producer on one queue.
///
/// Several consumers of a queue see parts of it in their own order, so numbers
/// may be ahead of each other here; order is checked per consumer by [`Order`].
#[derive(Debug, Default)]
pub struct Sequence {
    /// Every number below has arrived; so if `received` is no more, nothing is ahead.
    next: u64,
    /// What arrived beyond: bit `i` of word `w` is number `(next / 64 + w) * 64 + i`.
    ahead: VecDeque<u64>,
    received: u64,
}

impl Sequence {
    /// How many different numbers arrived.
    pub fn received(&self) -> u64 {
        self.received
    }

    /// One more than the largest number that arrived.
    pub fn end(&self) -> u64 {
        let base = self.next / WORD_BITS;
        let last = self.ahead.iter().rposition(|word| *word != 0);
        let ahead = last.and_then(|at| self.ahead.get(at).map(|word| (at as u64, word)));
        ahead.map_or(self.next, |(at, word)| {
            let end = (base + at + 1) * WORD_BITS - u64::from(word.leading_zeros());
            end.max(self.next)
        })
    }

    /// Takes the next message.
    pub fn receive(&mut self, number: u64) -> Arrival {
        if number == self.next && self.received == self.next {
            self.next += 1;
            self.received += 1;
            return Arrival::First;
        }
        if number < self.next {
            return Arrival::Duplicate;
        }
        if number - self.next > AHEAD_MAX {
            return Arrival::Foreign;
        }
        self.receive_ahead(number)
    }

    fn receive_ahead(&mut self, number: u64) -> Arrival {
        let at = (number / WORD_BITS - self.next / WORD_BITS) as usize;
        if at >= self.ahead.len() {
            self.ahead.resize(at + 1, 0);
        }
        let bit = 1 << (number % WORD_BITS);
        let Some(word) = self.ahead.get_mut(at) else {
            return Arrival::Foreign;
        };
        if *word & bit != 0 {
            return Arrival::Duplicate;
        }
        *word |= bit;
        self.received += 1;
        self.advance();
        Arrival::First
    }

    /// Moves `next` over what has arrived.
    fn advance(&mut self) {
        while let Some(word) = self.ahead.front() {
            let within = self.next % WORD_BITS;
            let run = u64::from((word >> within).trailing_ones()).min(WORD_BITS - within);
            self.next += run;
            if self.next.is_multiple_of(WORD_BITS) && run > 0 {
                self.ahead.pop_front();
            } else {
                break;
            }
        }
        if self.received == self.next {
            self.ahead.clear();
        }
    }
}

/// The largest number a consumer saw of one producer on one queue.
#[derive(Debug, Clone, Copy, Default)]
pub struct Order {
    after_largest: u64,
}

impl Order {
    /// Whether `number` keeps the order in which the producer sent.
    pub fn receive(&mut self, number: u64) -> bool {
        let in_order = number >= self.after_largest;
        self.after_largest = self.after_largest.max(number + 1);
        in_order
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn receive_all(numbers: impl IntoIterator<Item = u64>) -> (Sequence, Vec<Arrival>) {
        let mut sequence = Sequence::default();
        let arrivals = numbers.into_iter().map(|n| sequence.receive(n)).collect();
        (sequence, arrivals)
    }

    #[test]
    fn in_order_needs_no_memory() {
        let (sequence, arrivals) = receive_all(0..1000);
        assert!(arrivals.iter().all(|a| *a == Arrival::First));
        assert_eq!((sequence.received(), sequence.end()), (1000, 1000));
        assert!(sequence.ahead.is_empty());
    }

    #[test]
    fn any_order_ends_up_complete() {
        let (sequence, arrivals) =
            receive_all((0..500).map(|n| n * 2).chain((0..500).map(|n| n * 2 + 1)));
        assert!(arrivals.iter().all(|a| *a == Arrival::First));
        assert_eq!((sequence.received(), sequence.end()), (1000, 1000));
        assert!(sequence.ahead.is_empty());
        let (sequence, _) = receive_all((0..777).rev());
        assert_eq!((sequence.received(), sequence.next), (777, 777));
        assert!(sequence.ahead.is_empty());
    }

    #[test]
    fn a_lost_one_is_missing_at_the_end() {
        let (sequence, _) = receive_all((0..300).filter(|n| *n != 70));
        assert_eq!((sequence.received(), sequence.end()), (299, 300));
        let (sequence, _) = receive_all([0, 1, 2, 63, 64, 200]);
        assert_eq!((sequence.received(), sequence.end()), (6, 201));
    }

    #[test]
    fn duplicates_are_found_before_and_behind_a_gap() {
        let (sequence, arrivals) = receive_all([0, 1, 1, 3, 3, 130, 130, 2, 3, 4, 130]);
        let duplicates = arrivals
            .iter()
            .filter(|a| **a == Arrival::Duplicate)
            .count();
        assert_eq!(duplicates, 5);
        assert_eq!(sequence.received(), 6);
    }

    #[test]
    fn a_foreign_body_does_not_take_memory() {
        let (sequence, arrivals) = receive_all([0, u64::MAX >> 16]);
        assert_eq!(arrivals, [Arrival::First, Arrival::Foreign]);
        assert!(sequence.ahead.is_empty());
    }

    #[test]
    fn order_allows_gaps_but_no_way_back() {
        let mut order = Order::default();
        let kept: Vec<bool> = [0, 2, 5, 4, 6].map(|n| order.receive(n)).into();
        assert_eq!(kept, [true, true, true, false, true]);
    }
}
