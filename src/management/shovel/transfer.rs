//! Which messages are on their way, and which of them the source may forget.

use std::collections::VecDeque;

use super::definition::AckMode;

/// What to do with a message that the source delivers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Admission {
    /// Publish it.
    Forward,
    /// It is one too many: it stays unacknowledged, and so at the source.
    Leave,
}

/// The messages between one source and one destination, for as long as both
/// connections last.
///
/// ```text
///   delivered:  tag 1   tag 2   tag 3   tag 4         in the source's order
///               seq 1   seq 2   seq 3   seq 4         in the order published
///   confirmed:    x       x               x
///   => the source may forget everything up to tag 2
/// ```
#[derive(Debug)]
pub(super) struct Transfer {
    mode: AckMode,
    /// Published and not acknowledged to the source: delivery tags, and whether
    /// the destination has confirmed. The first one's sequence number is `first`.
    pending: VecDeque<(u64, bool)>,
    first: u64,
    /// Still to be published, and still to be acknowledged, before all is done.
    remaining: Option<u64>,
    remaining_unacked: Option<u64>,
}

impl Transfer {
    /// Nothing on its way yet; done after `messages` if that is a number.
    pub(super) fn new(mode: AckMode, messages: Option<u64>) -> Self {
        Self {
            mode,
            pending: VecDeque::new(),
            first: 1,
            remaining: messages,
            remaining_unacked: messages,
        }
    }

    /// Whether the source delivers for good. A consumer that has to stop
    /// after a number of messages can't have it so: it would lose what comes
    /// after them.
    pub(super) fn takes_for_good(&self) -> bool {
        self.mode == AckMode::NoAck && self.remaining.is_none()
    }

    /// Whether the destination has to confirm.
    pub(super) fn wants_confirms(&self) -> bool {
        self.mode == AckMode::OnConfirm
    }

    /// The source delivers another message.
    pub(super) fn admit(&mut self) -> Admission {
        match &mut self.remaining {
            Some(0) => Admission::Leave,
            Some(remaining) => {
                *remaining -= 1;
                Admission::Forward
            }
            None => Admission::Forward,
        }
    }

    /// A message is published, whole. Returns the tag to acknowledge to the
    /// source, if it may forget the message already.
    pub(super) fn published(&mut self, tag: u64) -> Option<u64> {
        if self.mode == AckMode::OnConfirm {
            self.pending.push_back((tag, false));
            return None;
        }
        self.forget(1);
        (!self.takes_for_good()).then_some(tag)
    }

    /// The destination has confirmed a sequence number, and with `multiple`
    /// all before it. Returns the tag to acknowledge to the source, all before
    /// it included.
    pub(super) fn confirmed(&mut self, seq: u64, multiple: bool) -> Option<u64> {
        let at = usize::try_from(seq.checked_sub(self.first)?).unwrap_or(usize::MAX);
        let from = if multiple { 0 } else { at };
        for (_, confirmed) in self
            .pending
            .iter_mut()
            .take(at.saturating_add(1))
            .skip(from)
        {
            *confirmed = true;
        }
        let mut last = None;
        while let Some((tag, _)) = self.pending.pop_front_if(|(_, confirmed)| *confirmed) {
            self.first += 1;
            self.forget(1);
            last = Some(tag);
        }
        last
    }

    fn forget(&mut self, count: u64) {
        if let Some(left) = &mut self.remaining_unacked {
            *left = left.saturating_sub(count);
        }
    }

    /// Whether there is nothing left to do.
    pub(super) fn is_done(&self) -> bool {
        self.remaining_unacked == Some(0)
    }

    /// Published and not confirmed, or not yet acknowledged.
    pub(super) fn pending(&self) -> u64 {
        self.pending.len() as u64
    }

    /// Messages still to be published; `None` is no end.
    pub(super) fn remaining(&self) -> Option<u64> {
        self.remaining
    }

    /// Messages still to be acknowledged; `None` is no end.
    pub(super) fn remaining_unacked(&self) -> Option<u64> {
        self.remaining_unacked
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn with_tags(count: u64, messages: Option<u64>) -> Transfer {
        let mut transfer = Transfer::new(AckMode::OnConfirm, messages);
        for tag in 1..=count {
            assert_eq!(transfer.admit(), Admission::Forward);
            assert_eq!(transfer.published(tag * 10), None);
        }
        transfer
    }

    #[test]
    fn the_source_forgets_only_what_all_before_is_confirmed_of() {
        let mut transfer = with_tags(4, None);
        assert_eq!(transfer.confirmed(4, false), None);
        assert_eq!(transfer.confirmed(2, false), None);
        assert_eq!(transfer.pending(), 4);
        assert_eq!(transfer.confirmed(1, false), Some(20));
        assert_eq!(transfer.pending(), 2);
        assert_eq!(transfer.confirmed(3, true), Some(40));
        assert_eq!(transfer.pending(), 0);
    }

    #[test]
    fn a_confirm_of_many_is_one_acknowledgement() {
        let mut transfer = with_tags(5, None);
        assert_eq!(transfer.confirmed(3, true), Some(30));
        assert_eq!(transfer.confirmed(3, true), None);
        assert_eq!(transfer.confirmed(77, true), Some(50));
        assert_eq!(transfer.confirmed(0, true), None);
    }

    #[test]
    fn a_transfer_ends_with_the_last_confirm_and_leaves_what_is_too_much() {
        let mut transfer = with_tags(2, Some(2));
        assert_eq!(transfer.admit(), Admission::Leave);
        assert_eq!(
            (transfer.remaining(), transfer.remaining_unacked()),
            (Some(0), Some(2))
        );
        assert!(!transfer.is_done());
        assert_eq!(transfer.confirmed(2, true), Some(20));
        assert!(transfer.is_done());
        assert!(Transfer::new(AckMode::OnConfirm, Some(0)).is_done());
    }

    #[test]
    fn without_confirms_the_source_forgets_at_once() {
        let mut transfer = Transfer::new(AckMode::OnPublish, None);
        assert_eq!(transfer.admit(), Admission::Forward);
        assert_eq!(transfer.published(7), Some(7));
        let mut transfer = Transfer::new(AckMode::NoAck, None);
        assert!(transfer.takes_for_good());
        assert_eq!(transfer.published(7), None);
        let mut bounded = Transfer::new(AckMode::NoAck, Some(1));
        assert!(!bounded.takes_for_good());
        assert_eq!(bounded.published(7), Some(7));
        assert!(bounded.is_done());
    }
}
