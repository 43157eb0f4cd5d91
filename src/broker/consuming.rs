//! What queues allow those who take from them (`semantics` 9).

use super::arguments::{self, QueueType};
use super::queue::{Queue, has_single_active};
use super::resource::Resource;
use crate::wire::{Refusal, ReplyCode};

/// Whether single messages may be taken from a queue.
///
/// # Errors
/// 405 for a quorum queue with a single active consumer.
pub fn check_get(queue: &Queue) -> Result<(), Refusal> {
    let arguments = &queue.spec().arguments;
    if has_single_active(arguments) && arguments::queue_type(arguments) == Some(QueueType::Quorum) {
        let title = Resource::queue(queue.name(), queue.vhost());
        let text = format!(
            "cannot obtain access to locked {title}. basic.get operations are not supported by \
             <<\"quorum\">> queues with single active consumer"
        );
        return Err(Refusal::new(ReplyCode::ResourceLocked, text));
    }
    Ok(())
}
