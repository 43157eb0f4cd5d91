//! Publisher confirms of one channel: in order, as few frames as possible.
//!
//! Publishes are numbered from 1. The server reports each one's fate with the
//! batch of the store it waits for; neighbours of the same fate become one
//! run, so that what is kept is proportional to batches, not to messages. A
//! run is written once its batch is on disk, and never before the runs in
//! front of it: an acknowledgement with `multiple` speaks for all of them.

use std::collections::{BTreeMap, VecDeque};

use bytes::{BufMut, BytesMut};

use crate::base::ids::Batch;

/// The octets of an ack or nack frame.
const FRAME_LEN: usize = 21;
const ACK: u8 = 80;
const NACK: u8 = 120;
/// The second bit of a nack.
const REQUEUE: u8 = 2;

/// What became of a publish.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Fate {
    /// Taken; confirmed once this batch is on disk.
    Ack(Batch),
    /// Refused.
    Nack,
}

/// Neighbouring publishes that are settled by one frame.
#[derive(Debug)]
struct Run {
    /// The last of them.
    upto: u64,
    fate: Fate,
}

/// The confirms of one channel.
#[derive(Debug, Default)]
pub(super) struct Confirms {
    /// The number of the last publish.
    published: u64,
    /// Everything up to here has been reported and is in `runs` or written.
    reported: u64,
    /// Everything up to here has been written.
    written: u64,
    /// In order of their numbers.
    runs: VecDeque<Run>,
    /// Reported before one in front of them was.
    early: BTreeMap<u64, Fate>,
    /// Whether the connection has this channel on its list.
    pub(super) listed: bool,
}

impl Confirms {
    /// Numbers the next publish.
    pub(super) fn number(&mut self) -> u64 {
        self.published += 1;
        self.published
    }

    /// Takes down the fate of publish `seq`; one that was never published or
    /// is reported twice is ignored.
    pub(super) fn report(&mut self, seq: u64, fate: Fate) {
        if seq <= self.reported || seq > self.published {
            return;
        }
        if seq != self.reported + 1 {
            self.early.entry(seq).or_insert(fate);
            return;
        }
        self.append(seq, fate);
        while let Some(entry) = self.early.first_entry() {
            if *entry.key() != self.reported + 1 {
                break;
            }
            let (seq, fate) = entry.remove_entry();
            self.append(seq, fate);
        }
    }

    /// Writes what may be written when everything up to batch `synced` is on
    /// disk. Returns the batch the first of the rest waits for.
    pub(super) fn release(
        &mut self,
        channel: u16,
        synced: Batch,
        out: &mut BytesMut,
    ) -> Option<Batch> {
        let mut acked = self.written;
        while let Some(run) = self.runs.front() {
            match run.fate {
                Fate::Ack(batch) if batch > synced => break,
                Fate::Ack(_) => acked = run.upto,
                Fate::Nack => {
                    let upto = run.upto;
                    self.write(ACK, channel, acked, out);
                    self.write(NACK, channel, upto, out);
                    acked = upto;
                }
            }
            self.runs.pop_front();
        }
        self.write(ACK, channel, acked, out);
        self.waits_for()
    }

    /// How many have been written.
    pub(super) fn written(&self) -> u64 {
        self.written
    }

    /// Whether nothing is left to release.
    pub(super) fn is_settled(&self) -> bool {
        self.runs.is_empty()
    }

    fn waits_for(&self) -> Option<Batch> {
        match self.runs.front()?.fate {
            Fate::Ack(batch) => Some(batch),
            Fate::Nack => None,
        }
    }

    fn append(&mut self, seq: u64, fate: Fate) {
        self.reported = seq;
        match (self.runs.back_mut(), fate) {
            // What waits for nothing, or for less, still waits for its turn.
            (Some(run), Fate::Ack(batch)) if run.covers(batch) => run.upto = seq,
            (Some(run), Fate::Nack) if run.fate == Fate::Nack => run.upto = seq,
            _ => self.runs.push_back(Run { upto: seq, fate }),
        }
    }

    /// Writes the frame that settles everything up to `upto`, if anything is left to settle.
    fn write(&mut self, method: u8, channel: u16, upto: u64, out: &mut BytesMut) {
        let count = upto.saturating_sub(self.written);
        if count == 0 {
            return;
        }
        let [c0, c1] = channel.to_be_bytes();
        let [t0, t1, t2, t3, t4, t5, t6, t7] = upto.to_be_bytes();
        // RabbitMQ's nacks have the requeue bit set, whatever a server means by it.
        let requeue = if method == NACK { REQUEUE } else { 0 };
        let bits = u8::from(count > 1) | requeue;
        let frame: [u8; FRAME_LEN] = [
            1, c0, c1, 0, 0, 0, 13, 0, 60, 0, method, t0, t1, t2, t3, t4, t5, t6, t7, bits, 0xCE,
        ];
        out.put_slice(&frame);
        self.written = upto;
    }
}

impl Run {
    fn covers(&self, batch: Batch) -> bool {
        matches!(self.fate, Fate::Ack(own) if own >= batch)
    }
}
