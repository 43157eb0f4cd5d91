//! The connections that are in a virtual host: counted, and told to go.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};

use parking_lot::Mutex;

use crate::base::ids::ConnectionId;
use crate::wire::{Refusal, ReplyCode};

/// What one user has open.
#[derive(Debug, Default)]
struct Usage {
    connections: AtomicU64,
    channels: AtomicU64,
}

/// A connection's place among all.
#[derive(Debug)]
pub struct Seat {
    user: Arc<str>,
    vhost: Arc<str>,
    usage: Arc<Usage>,
    /// Why it has to go, once it has to.
    dismissed: OnceLock<String>,
}

impl Seat {
    /// Why the connection has to go, if it has to.
    #[inline]
    pub fn dismissed(&self) -> Option<&str> {
        self.dismissed.get().map(String::as_str)
    }

    /// Counts one more channel of the user, of whom there may be `limit`.
    ///
    /// # Errors
    /// 530 when there are that many.
    pub fn open_channel(&self, limit: Option<u64>) -> Result<(), Refusal> {
        let channels = &self.usage.channels;
        let before = channels.fetch_add(1, Ordering::Relaxed);
        match limit {
            Some(limit) if before >= limit => {
                channels.fetch_sub(1, Ordering::Relaxed);
                let text = format!(
                    "number of channels opened for user '{}' has reached the maximum allowed user \
                     limit of {limit}",
                    self.user
                );
                Err(Refusal::new(ReplyCode::NotAllowed, text))
            }
            _ => Ok(()),
        }
    }

    /// Counts one channel of the user less.
    pub fn close_channel(&self) {
        self.usage.channels.fetch_sub(1, Ordering::Relaxed);
    }
}

/// There are as many connections as may be.
#[derive(Debug, thiserror::Error)]
pub enum Full {
    /// Of the whole server.
    #[error("connection refused: node connection limit ({0}) is reached")]
    Node(usize),
    /// In the virtual host.
    #[error(
        "access to vhost '{vhost}' refused for user '{user}': connection limit ({limit}) is reached"
    )]
    Vhost {
        /// The virtual host.
        vhost: Arc<str>,
        /// The user.
        user: Arc<str>,
        /// Connections.
        limit: u64,
    },
    /// Of the user.
    #[error("connection refused for user '{user}': user connection limit ({limit}) is reached")]
    User {
        /// The user.
        user: Arc<str>,
        /// Connections.
        limit: u64,
    },
}

#[derive(Debug, Default)]
struct Taken {
    seats: HashMap<ConnectionId, Arc<Seat>>,
    in_vhost: HashMap<Arc<str>, u64>,
    of_user: HashMap<Arc<str>, Arc<Usage>>,
}

impl Taken {
    fn check_room(&self, limit: usize) -> Result<(), Full> {
        if self.seats.len() >= limit {
            return Err(Full::Node(limit));
        }
        Ok(())
    }
}

/// All connections that are in a virtual host.
#[derive(Debug)]
pub struct Seats {
    limit: usize,
    taken: Mutex<Taken>,
}

impl Seats {
    /// Places for `limit` connections.
    pub fn new(limit: usize) -> Self {
        Self {
            limit,
            taken: Mutex::default(),
        }
    }

    /// Whether there is a place left.
    ///
    /// # Errors
    /// [`Full::Node`] when there isn't.
    pub fn check_room(&self) -> Result<(), Full> {
        self.taken.lock().check_room(self.limit)
    }

    /// Gives the connection `id` of `user` a place in `vhost`. `limits` are how
    /// many connections may be in it, and how many of the user's anywhere.
    ///
    /// # Errors
    /// [`Full`] when there are that many.
    pub fn take(
        &self,
        id: ConnectionId,
        user: &Arc<str>,
        vhost: &Arc<str>,
        limits: (Option<u64>, Option<u64>),
    ) -> Result<Arc<Seat>, Full> {
        let mut taken = self.taken.lock();
        taken.check_room(self.limit)?;
        let here = taken.in_vhost.get(vhost).copied().unwrap_or_default();
        if let Some(limit) = limits.0.filter(|limit| here >= *limit) {
            let (vhost, user) = (Arc::clone(vhost), Arc::clone(user));
            return Err(Full::Vhost { vhost, user, limit });
        }
        let usage = taken.of_user.get(user).cloned().unwrap_or_default();
        let open = usage.connections.load(Ordering::Relaxed);
        if let Some(limit) = limits.1.filter(|limit| open >= *limit) {
            let user = Arc::clone(user);
            return Err(Full::User { user, limit });
        }
        usage.connections.store(open + 1, Ordering::Relaxed);
        taken.in_vhost.insert(Arc::clone(vhost), here + 1);
        taken.of_user.insert(Arc::clone(user), Arc::clone(&usage));
        let seat = Arc::new(Seat {
            user: Arc::clone(user),
            vhost: Arc::clone(vhost),
            usage,
            dismissed: OnceLock::new(),
        });
        taken.seats.insert(id, Arc::clone(&seat));
        Ok(seat)
    }

    /// Gives back the place of the connection `id`, if it has one.
    pub fn leave(&self, id: ConnectionId) {
        let mut taken = self.taken.lock();
        let Some(seat) = taken.seats.remove(&id) else {
            return;
        };
        if seat.usage.connections.fetch_sub(1, Ordering::Relaxed) == 1 {
            taken.of_user.remove(&seat.user);
        }
        if let Some(here) = taken.in_vhost.get_mut(&seat.vhost) {
            *here -= 1;
            if *here == 0 {
                taken.in_vhost.remove(&seat.vhost);
            }
        }
    }

    /// Tells every connection in `vhost` to go; returns which.
    pub fn dismiss_from(&self, vhost: &str) -> Vec<ConnectionId> {
        let reason = format!("vhost '{vhost}' is deleted");
        self.dismiss(&reason, |seat| *seat.vhost == *vhost)
    }

    /// Tells every connection of `user` to go; returns which.
    pub fn dismiss_user(&self, user: &str) -> Vec<ConnectionId> {
        let reason = format!("user '{user}' is deleted");
        self.dismiss(&reason, |seat| *seat.user == *user)
    }

    /// Tells one connection to go; whether it is there.
    pub fn dismiss_one(&self, id: ConnectionId, reason: &str) -> bool {
        let taken = self.taken.lock();
        let seat = taken.seats.get(&id);
        // One told before goes for the reason it was told then.
        let told = seat.map(|seat| seat.dismissed.set(reason.to_owned()));
        told.is_some()
    }

    fn dismiss(&self, reason: &str, whom: impl Fn(&Seat) -> bool) -> Vec<ConnectionId> {
        let taken = self.taken.lock();
        let chosen = taken.seats.iter().filter(|(_, seat)| whom(seat));
        chosen
            .map(|(id, seat)| {
                // One told before goes for the reason it was told then.
                let _told = seat.dismissed.set(reason.to_owned());
                *id
            })
            .collect()
    }
}
