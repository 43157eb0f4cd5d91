//! What a damaged log has lost, told by queue and count.
//!
//! The summaries in the database know what a segment held, even when the
//! segment is gone or has lost its end.

use hashbrown::HashMap;

use super::index::Index;
use super::segment::LogDir;
use super::summary;
use crate::base::ids::QueueId;
use crate::broker::change::Change;

/// Messages that were in the log and aren't any more.
#[derive(Debug, Default)]
pub(super) struct Losses(Vec<Loss>);

#[derive(Debug)]
struct Loss {
    segment: u64,
    queue: QueueId,
    messages: u64,
}

impl Losses {
    /// A segment isn't what its summary says: `index` has what is left of it,
    /// which may be nothing.
    pub(super) fn add(&mut self, segment: u64, summary: &[u8], index: &Index) {
        let mut whole = Index::default();
        whole.add_segment(segment);
        if summary::restore(summary, segment, &mut whole).is_err() {
            return;
        }
        let left = by_queue(index, segment);
        for (queue, messages) in by_queue(&whole, segment) {
            let left = left.get(&queue).copied().unwrap_or_default();
            if messages > left {
                self.0.push(Loss {
                    segment,
                    queue,
                    messages: messages - left,
                });
            }
        }
    }

    /// Says what was lost of which queue, of those that there are.
    pub(super) fn report(&self, changes: &[Change], dir: &LogDir) {
        for change in changes {
            let Change::QueueDeclared { vhost, id, spec } = change else {
                continue;
            };
            for loss in self.0.iter().filter(|loss| loss.queue.queue() == *id) {
                tracing::error!(
                    queue = &*spec.name,
                    vhost = &**vhost,
                    messages = loss.messages,
                    segment = %dir.segment(loss.segment).display(),
                    "messages are lost, unless they were settled since"
                );
            }
        }
    }
}

fn by_queue(index: &Index, segment: u64) -> HashMap<QueueId, u64> {
    let mut messages = HashMap::new();
    for (queue, block) in index.blocks_in(segment) {
        *messages.entry(queue).or_default() += block.live.count();
    }
    messages
}
