//! Finding chosen messages among those that wait: to look at, or to take out.

use super::backlog::{Entry, restored};
use super::browse::{Cursor, Enough, Gathering, InStore, Place, Reached, Seen};
use super::lane::Lane;
use super::ready::Ready;
use crate::base::ids::Position;
use crate::broker::store::Page;

impl Ready {
    /// Looks at what is in memory, after a message.
    pub(super) fn look(&self, after: Cursor, found: &mut Gathering) -> Reached {
        let after = match after {
            Cursor::Waiting(place) => Some(place),
            _ if !self.look_at_returned(after, found) => return Reached::Enough,
            _ => None,
        };
        for lane in &self.lanes {
            let from = match after {
                Some(place) if place.priority < lane.priority => continue,
                Some(place) if place.priority == lane.priority => place.position,
                _ => Position(0),
            };
            match self.look_at_lane(lane, from, found) {
                Reached::End => {}
                other => return other,
            }
        }
        Reached::End
    }

    /// Looks at what came back; whether that was all. One that isn't there any
    /// more was before all that are.
    fn look_at_returned(&self, after: Cursor, found: &mut Gathering) -> bool {
        let from = match after {
            Cursor::Returned(place) => {
                let at = self.returned.iter().position(|e| Place::of(e) == place);
                at.map_or(0, |at| at + 1)
            }
            _ => 0,
        };
        let mut returned = self.returned.range(from..);
        returned.all(|entry| found.add(entry, Cursor::Returned(Place::of(entry))))
    }

    fn look_at_lane(&self, lane: &Lane, after: Position, found: &mut Gathering) -> Reached {
        found.departures = lane.backlog.departures();
        // What is parked comes before all that is left to the store.
        let mut first = self.merged(lane, after, lane.backlog.first_after(after));
        if !first.all(|entry| found.add_waiting(entry)) {
            return Reached::Enough;
        }
        if let Some(wanted) = lane.backlog.stored_after(after, found.messages_left()) {
            return match found.messages_left() {
                0 => Reached::Enough,
                _ => Reached::Stored(InStore {
                    lane: lane.id,
                    wanted,
                    departures: found.departures,
                }),
            };
        }
        let mut beyond = lane.backlog.beyond_after(after);
        match beyond.all(|entry| found.add_waiting(entry)) {
            true => Reached::End,
            false => Reached::Enough,
        }
    }

    /// Looks at what was read from the store, as far as it still waits. Returns
    /// after which place to go on, if the lane is still there.
    ///
    /// # Errors
    /// There was more than wanted.
    pub(super) fn look_at(
        &self,
        page: Page,
        found: &mut Gathering,
    ) -> Result<Option<Place>, Enough> {
        let Some(lane) = self.lanes.iter().find(|lane| lane.id == page.queue) else {
            return Ok(None);
        };
        let through = page.through;
        let departures = found.departures;
        let from = Position(page.from.0.saturating_sub(1));
        let mut add = |entry: &Entry| match found.add_waiting(entry) {
            true => Ok(()),
            false => Err(Enough),
        };
        // Some of it is in memory by now, as is what the store doesn't have.
        let first = lane.backlog.first_after(from);
        let resident = first.chain(lane.backlog.beyond_after(from));
        let mut resident = self.merged(lane, from, resident).peekable();
        for stored in page.messages {
            while let Some(entry) = resident.next_if(|e| e.position <= stored.position) {
                add(entry)?;
            }
            let position = stored.position;
            let is_resident = lane.backlog.resident(position).is_some();
            if !is_resident && lane.backlog.is_left_to_the_store(position, departures) {
                add(&restored(stored, lane.priority, lane.delivered()))?;
            }
        }
        while let Some(entry) = resident.next_if(|e| e.position <= through) {
            add(entry)?;
        }
        Ok(Some(Place {
            priority: lane.priority,
            position: through,
        }))
    }

    /// Those that are in memory, wherever they wait.
    pub(super) fn in_memory(&self) -> impl Iterator<Item = &Entry> {
        let of_lanes = self.lanes.iter().flat_map(|lane| {
            let backlog = &lane.backlog;
            let resident = backlog.first_after(Position(0));
            let resident = resident.chain(backlog.beyond_after(Position(0)));
            self.merged(lane, Position(0), resident)
        });
        self.returned.iter().chain(of_lanes)
    }

    /// Whether some are left to the store.
    pub(super) fn is_paging(&self) -> bool {
        self.lanes.iter().any(|lane| lane.backlog.is_paging())
    }

    /// Messages of a lane together with those that are parked, by place.
    fn merged<'a>(
        &'a self,
        lane: &Lane,
        after: Position,
        messages: impl Iterator<Item = &'a Entry>,
    ) -> impl Iterator<Item = &'a Entry> {
        let parked = self.groups.as_ref().map(|g| g.after(lane.priority, after));
        let mut parked = parked.into_iter().flatten().peekable();
        let mut messages = messages.peekable();
        std::iter::from_fn(move || match (parked.peek(), messages.peek()) {
            (Some(parked), Some(other)) if parked.position > other.position => messages.next(),
            (Some(_), _) => parked.next(),
            (None, _) => messages.next(),
        })
    }

    /// Takes out a message that was looked at, and says where it waited.
    pub(super) fn take_out(&mut self, seen: &Seen) -> Option<(Entry, Cursor)> {
        let (entry, place) = (&seen.entry, seen.place());
        if let Some(taken) = self.take_returned(place) {
            self.leave(&taken);
            return Some((taken, Cursor::Returned(place)));
        }
        let (priority, position) = (place.priority, place.position);
        let lane = self.lane(priority);
        if let Some(taken) = lane.backlog.take_resident(position) {
            self.leave(&taken);
            return Some((taken, Cursor::Waiting(place)));
        }
        if lane.backlog.take_stored(entry, seen.departures) {
            self.leave(entry);
            return Some((entry.clone(), Cursor::Waiting(place)));
        }
        let parked = self.groups.as_mut()?.take_out(priority, position)?;
        self.leave(&parked);
        if parked.is_stored() {
            self.lane(priority).backlog.reserve(position);
        }
        Some((parked, Cursor::Waiting(place)))
    }

    fn take_returned(&mut self, place: Place) -> Option<Entry> {
        let mut returned = self.returned.iter();
        let at = returned.position(|entry| Place::of(entry) == place)?;
        self.returned.remove(at)
    }

    /// Puts a message back to where it waited.
    pub(super) fn give_back(&mut self, entry: Entry, from: Cursor) {
        let lane = self.lane(entry.priority());
        lane.backlog.release(entry.position);
        self.come(&entry);
        if matches!(from, Cursor::Returned(_)) {
            return self.returned.push_front(entry);
        }
        self.lane(entry.priority()).backlog.put_back(vec![entry]);
    }

    /// The highest place given out, for each priority.
    pub(super) fn last_places(&self) -> impl Iterator<Item = Place> {
        self.lanes.iter().map(|lane| Place {
            priority: lane.priority,
            position: lane.last_position(),
        })
    }
}
