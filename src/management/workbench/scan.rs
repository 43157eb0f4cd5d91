//! Going through what waits in a queue, without holding it up.

use std::collections::HashSet;
use std::sync::Arc;

use tokio::sync::oneshot;

use crate::base::ids::Position;
use crate::broker::queue::{Cursor, Glance, Look, Place, Queue, RetryKey, Seen};
use crate::management::reply::ApiError;

/// Octets that one look may bring into memory.
const LOOK_BYTES: usize = 1024 * 1024;

/// A walk through a queue's messages.
#[derive(Debug)]
pub(super) struct Scan {
    queue: Arc<Queue>,
    next: Option<Cursor>,
}

impl Scan {
    pub(super) fn new(queue: &Arc<Queue>, after: Cursor) -> Self {
        Self {
            queue: Arc::clone(queue),
            next: Some(after),
        }
    }

    /// Where it goes on, if there is more.
    pub(super) fn cursor(&self) -> Option<Cursor> {
        self.next
    }

    /// The next messages, `most` at most; `None` at the end. There may be none in
    /// between.
    ///
    /// # Errors
    /// 500 when the store is closed meanwhile.
    pub(super) async fn next(&mut self, most: usize) -> Result<Option<Vec<Seen>>, ApiError> {
        let Some(after) = self.next else {
            return Ok(None);
        };
        let Glance { seen, next } = look(&self.queue, after, most).await?;
        self.next = next;
        Ok(Some(seen))
    }
}

async fn look(queue: &Arc<Queue>, after: Cursor, messages: usize) -> Result<Glance, ApiError> {
    let (sender, receiver) = oneshot::channel();
    let look = Look {
        after,
        messages,
        bytes: LOOK_BYTES,
    };
    queue.browse(look, move |glance| {
        // Nobody waits any more: the request was given up.
        let _given_up = sender.send(glance);
    });
    let glance = receiver.await;
    glance.map_err(|_| ApiError::internal("the store is closed"))
}

/// A message by its id.
///
/// # Errors
/// 404 when it doesn't wait in the queue, and why.
pub(super) async fn find(queue: &Arc<Queue>, place: Place) -> Result<Seen, ApiError> {
    let mut found = find_all(queue, &[place]).await?;
    let missing = || ApiError::missing(absent(queue, place));
    found.pop().ok_or_else(missing)
}

/// Those of some messages that wait in the queue, in the order of their places.
///
/// # Errors
/// 500 when the store is closed meanwhile.
pub(super) async fn find_all(queue: &Arc<Queue>, places: &[Place]) -> Result<Vec<Seen>, ApiError> {
    let mut found = Vec::with_capacity(places.len());
    let mut elsewhere = HashSet::new();
    for place in places {
        match in_its_place(queue, *place).await? {
            Some(seen) => found.push(seen),
            None => {
                elsewhere.insert(*place);
            }
        }
    }
    // They came back, which is before all that wait in their places, or wait to be
    // tried again, which is after. In between nobody need look: that may be millions.
    for part in [Cursor::Start, Cursor::Delayed(FIRST_RETRY)] {
        let mut scan = Scan::new(queue, part);
        while !elsewhere.is_empty()
            && !matches!(scan.cursor(), Some(Cursor::Waiting(_)))
            && let Some(seen) = scan.next(256).await?
        {
            found.extend(
                seen.into_iter()
                    .filter(|seen| elsewhere.remove(&seen.place())),
            );
        }
    }
    found.sort_unstable_by_key(Seen::place);
    Ok(found)
}

/// No message is due as early.
const FIRST_RETRY: RetryKey = RetryKey { due: 0, serial: 0 };

/// A message that never left its place.
async fn in_its_place(queue: &Arc<Queue>, place: Place) -> Result<Option<Seen>, ApiError> {
    let before = Place {
        position: Position(place.position.0.saturating_sub(1)),
        ..place
    };
    let glance = look(queue, Cursor::Waiting(before), 1).await?;
    Ok(glance.seen.into_iter().find(|seen| seen.place() == place))
}

/// Why a message can't be had.
pub(super) fn absent(queue: &Queue, place: Place) -> String {
    let name = queue.name();
    match queue.is_held(place) {
        true => format!("message {place} of queue '{name}' is handed out to a consumer"),
        false => format!("message {place} isn't in queue '{name}'"),
    }
}
