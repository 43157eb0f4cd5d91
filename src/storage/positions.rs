//! A set of positions within one block of a queue.

/// Positions in a block.
pub(super) const BLOCK: u64 = 512;
const WORDS: usize = (BLOCK / 64) as usize;

/// Positions of one block, counted from its start.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Positions {
    /// None.
    Nothing,
    /// From the first to the last, both included, as first-in-first-out makes them.
    Range(u16, u16),
    /// One bit for each position, and how many are set.
    Bits(Box<[u64; WORDS]>, u16),
}

impl Positions {
    /// How many there are.
    pub(super) fn count(&self) -> u64 {
        match *self {
            Self::Nothing => 0,
            Self::Range(first, last) => u64::from(last - first) + 1,
            Self::Bits(_, count) => count.into(),
        }
    }

    /// Whether there are none.
    pub(super) fn is_empty(&self) -> bool {
        self.count() == 0
    }

    /// Whether it has that one.
    pub(super) fn contains(&self, place: u16) -> bool {
        match self {
            Self::Nothing => false,
            Self::Range(first, last) => (*first..=*last).contains(&place),
            Self::Bits(words, _) => {
                let word = words.get(usize::from(place / 64)).copied();
                word.unwrap_or_default() & (1 << (place % 64)) != 0
            }
        }
    }

    /// All of them, in order.
    pub(super) fn iter(&self) -> impl Iterator<Item = u16> + '_ {
        (0..BLOCK as u16).filter(|place| self.contains(*place))
    }

    /// The lowest.
    pub(super) fn first(&self) -> Option<u16> {
        match self {
            Self::Range(first, _) => Some(*first),
            _ => self.iter().next(),
        }
    }

    /// Adds one; whether it wasn't there.
    pub(super) fn insert(&mut self, place: u16) -> bool {
        if self.contains(place) {
            return false;
        }
        match self {
            Self::Nothing => *self = Self::Range(place, place),
            Self::Range(_, last) if place == *last + 1 => *last = place,
            Self::Range(first, _) if place + 1 == *first => *first = place,
            _ => {
                let (words, count) = self.bits();
                words[usize::from(place / 64)] |= 1 << (place % 64);
                *count += 1;
            }
        }
        true
    }

    /// Removes from `from` to `to`, both included; returns how many were there.
    pub(super) fn remove(&mut self, from: u16, to: u16) -> u64 {
        let before = self.count();
        match self {
            Self::Nothing => {}
            Self::Range(first, last) if to < *first || from > *last => {}
            Self::Range(first, last) => match (from <= *first, to >= *last) {
                (true, true) => *self = Self::Nothing,
                (true, false) => *first = to + 1,
                (false, true) => *last = from - 1,
                (false, false) => self.clear(from, to),
            },
            Self::Bits(..) => self.clear(from, to),
        }
        before - self.count()
    }

    fn clear(&mut self, from: u16, to: u16) {
        let (words, count) = self.bits();
        for place in from..=to {
            let word = &mut words[usize::from(place / 64)];
            *count -= (*word >> (place % 64) & 1) as u16;
            *word &= !(1 << (place % 64));
        }
        if *count == 0 {
            *self = Self::Nothing;
        }
    }

    /// The same positions as bits.
    fn bits(&mut self) -> (&mut [u64; WORDS], &mut u16) {
        if !matches!(self, Self::Bits(..)) {
            let mut words = Box::new([0; WORDS]);
            let count = self.count() as u16;
            if let Self::Range(first, last) = *self {
                for place in first..=last {
                    words[usize::from(place / 64)] |= 1 << (place % 64);
                }
            }
            *self = Self::Bits(words, count);
        }
        match self {
            Self::Bits(words, count) => (words, count),
            _ => unreachable!("made bits above"),
        }
    }

    /// The ranges they form, lowest first.
    pub(super) fn ranges(&self) -> Vec<(u16, u16)> {
        if let Self::Range(first, last) = *self {
            return vec![(first, last)];
        }
        let mut ranges: Vec<(u16, u16)> = Vec::new();
        for place in self.iter() {
            match ranges.last_mut() {
                Some((_, last)) if *last + 1 == place => *last = place,
                _ => ranges.push((place, place)),
            }
        }
        ranges
    }
}
