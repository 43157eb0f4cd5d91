//! What queues allow those who take from them (`semantics` 9).

use super::arguments::{self, CONSUMER_PRIORITY, CONSUMER_TIMEOUT, QueueType};
use super::queue::{Queue, has_single_active};
use super::resource::Resource;
use crate::wire::{FieldTable, FieldValue, Refusal, ReplyCode};

/// What the arguments of a consumer ask for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct ConsumerArguments {
    /// Served before those with a lower one.
    pub priority: i32,
    /// Milliseconds it may hold a message; 0 is no limit.
    pub timeout: Option<u64>,
}

/// Checks what a consumer of `queue` asks for. `shares_prefetch` says whether
/// its channel's consumers have a prefetch in common.
///
/// # Errors
/// 406 that names the first bad argument; 540 when a quorum queue is to go by
/// such a prefetch.
pub fn check_consume(
    queue: &Queue,
    arguments: &FieldTable,
    shares_prefetch: bool,
) -> Result<ConsumerArguments, Refusal> {
    let title = Resource::queue(queue.name(), queue.vhost());
    let kind = queue_type(queue);
    arguments::check_consumer(title, kind, arguments)?;
    if shares_prefetch && kind == QueueType::Quorum {
        let text = format!("{title} does not support global qos");
        return Err(Refusal::new(ReplyCode::NotImplemented, text));
    }
    let priority = arguments
        .get(CONSUMER_PRIORITY)
        .and_then(FieldValue::as_i64);
    let timeout = arguments.get(CONSUMER_TIMEOUT).and_then(FieldValue::as_i64);
    let bounded = priority.map(|p| p.clamp(i32::MIN.into(), i32::MAX.into()) as i32);
    Ok(ConsumerArguments {
        priority: bounded.unwrap_or_default(),
        timeout: timeout.and_then(|ms| u64::try_from(ms).ok()),
    })
}

/// Whether single messages may be taken from a queue.
///
/// # Errors
/// 405 for a quorum queue with a single active consumer.
pub fn check_get(queue: &Queue) -> Result<(), Refusal> {
    if has_single_active(&queue.spec().arguments) && queue_type(queue) == QueueType::Quorum {
        let title = Resource::queue(queue.name(), queue.vhost());
        let text = format!(
            "cannot obtain access to locked {title}. basic.get operations are not supported by \
             <<\"quorum\">> queues with single active consumer"
        );
        return Err(Refusal::new(ReplyCode::ResourceLocked, text));
    }
    Ok(())
}

/// Whether there is a usual limit to how long messages of a queue may be held.
pub fn has_usual_timeout(queue: &Queue) -> bool {
    queue_type(queue) == QueueType::Quorum
}

fn queue_type(queue: &Queue) -> QueueType {
    arguments::queue_type(&queue.spec().arguments).unwrap_or_default()
}
