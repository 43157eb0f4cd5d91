//! Queues: declared, found and deleted.

use std::sync::Arc;

use super::policies::configure;
use super::{Vhost, without_line_ends};
use crate::base::ids::ConnectionId;
use crate::broker::access::allowed;
use crate::broker::arguments::{self, QUEUE_TYPE, QueueType};
use crate::broker::change::Change;
use crate::broker::effects::Effects;
use crate::broker::equivalence;
use crate::broker::events::INTERNAL_USER;
use crate::broker::policy::Subject;
use crate::broker::queue::Queue;
use crate::broker::resource::{RESERVED_PREFIX, Resource, precondition};
use crate::broker::spec::QueueSpec;
use crate::broker::topology::Topology;
use crate::wire::method::QueueDeclare;
use crate::wire::{Refusal, ReplyCode};

impl Vhost {
    /// Declares a queue for the connection `as_`, or finds the one there is.
    /// `server_name` makes up a name when none is given.
    ///
    /// # Errors
    /// 403 for reserved names, 404 when it was only asked for and isn't there,
    /// 405 when it belongs to another connection, 406 when an argument or
    /// property is bad or it exists otherwise, 540 for types of queue that
    /// aren't there (`semantics` 6).
    pub fn declare_queue(
        &self,
        request: &QueueDeclare<'_>,
        as_: ConnectionId,
        server_name: impl FnOnce() -> String,
        effects: &mut Effects,
    ) -> Result<Arc<Queue>, Refusal> {
        if request.passive {
            let queue = self.queue(request.queue, as_)?;
            queue.touch(effects);
            return Ok(queue);
        }
        let name = self.queue_name(request, server_name)?;
        let mut spec = QueueSpec {
            name: name.into(),
            durable: request.durable && !request.exclusive,
            exclusive: request.exclusive,
            auto_delete: request.auto_delete,
            arguments: request.arguments.clone(),
        };
        if spec.arguments.get(QUEUE_TYPE).is_none() {
            let default = self.default_type(request).name();
            spec.arguments.set(QUEUE_TYPE, default);
        }
        let owner = request.exclusive.then_some(as_);
        if let Some(queue) = self.declared(&self.topology.read(), &spec, owner)? {
            self.around.totals.note_declared(false);
            queue.touch(effects);
            return Ok(queue);
        }
        let title = self.queue_title(&spec.name);
        check_properties(title, &spec, arguments::check(title, &spec.arguments)?)?;
        let mut topology = self.topology.write();
        // Another connection may have declared it in between.
        if let Some(queue) = self.declared(&topology, &spec, owner)? {
            self.around.totals.note_declared(false);
            queue.touch(effects);
            return Ok(queue);
        }
        self.check_room(&topology, title)?;
        self.around.totals.note_declared(true);
        Ok(self.create_queue(&mut topology, spec, owner, effects))
    }

    /// The name that a queue is to be declared under: the one given, or else one
    /// that `server_name` makes up.
    ///
    /// # Errors
    /// 403 for names that only the server makes, whether there is such a queue or
    /// not; 406 when the server can't name a queue of that type.
    pub fn queue_name(
        &self,
        request: &QueueDeclare<'_>,
        server_name: impl FnOnce() -> String,
    ) -> Result<String, Refusal> {
        let given = without_line_ends(request.queue);
        if given.starts_with(RESERVED_PREFIX) {
            return Err(self.queue_title(&given).reserved());
        }
        if !given.is_empty() {
            return Ok(given.into_owned());
        }
        let kind = match request.arguments.get(QUEUE_TYPE) {
            Some(asked) => asked.as_str().unwrap_or_default(),
            None => self.default_type(request).name(),
        };
        check_may_be_named(kind)?;
        Ok(server_name())
    }

    /// The type of a queue that doesn't ask for one. The virtual host's is for
    /// queues that can be of it.
    fn default_type(&self, request: &QueueDeclare<'_>) -> QueueType {
        let default = self
            .settings()
            .default_queue_type
            .as_deref()
            .map(str::as_bytes)
            .and_then(QueueType::of_name);
        let plain = request.durable && !request.exclusive && !request.auto_delete;
        default.filter(|_| plain).unwrap_or_default()
    }

    /// Whether there may be one more queue.
    fn check_room(&self, topology: &Topology, title: Resource<'_>) -> Result<(), Refusal> {
        self.check_there()?;
        let limit = allowed(self.settings().limits.max_queues);
        match limit {
            Some(limit) if topology.queues().count() as u64 >= limit => Err(precondition(format!(
                "cannot declare {}: queue limit in vhost '{}' ({limit}) is reached",
                title.short(),
                self.name
            ))),
            _ => Ok(()),
        }
    }

    /// The queue that is declared already, if it is the one `spec` declares.
    fn declared(
        &self,
        topology: &Topology,
        spec: &QueueSpec,
        owner: Option<ConnectionId>,
    ) -> Result<Option<Arc<Queue>>, Refusal> {
        let Some(queue) = topology.queue(&*spec.name) else {
            return Ok(None);
        };
        let title = self.queue_title(&spec.name);
        if queue.owner() != owner {
            return Err(title.locked());
        }
        equivalence::check_queue(title, queue.spec(), spec)?;
        Ok(Some(Arc::clone(queue)))
    }

    fn create_queue(
        &self,
        topology: &mut Topology,
        spec: QueueSpec,
        owner: Option<ConnectionId>,
        effects: &mut Effects,
    ) -> Arc<Queue> {
        let id = self.ids.next();
        let change = spec.durable.then(|| Change::QueueDeclared {
            vhost: Arc::clone(&self.name),
            id,
            spec: spec.clone(),
        });
        let queue = self.new_queue(id, spec, owner);
        let policies = self.matching(Subject::queue(queue.spec()));
        if policies.is_empty() {
            queue.touch(effects);
        } else {
            configure(&queue, &policies, effects);
        }
        topology.insert_queue(&queue);
        topology.set_queue_policies(&queue, policies);
        self.changed(change.as_slice(), effects);
        self.herald.queue_created(&queue, effects.actor());
        queue
    }

    /// The queue called `name`, for the connection `as_`.
    ///
    /// # Errors
    /// 404 when there is none, 405 when it belongs to another connection.
    pub fn queue(&self, name: &str, as_: ConnectionId) -> Result<Arc<Queue>, Refusal> {
        let name = without_line_ends(name);
        let title = self.queue_title(&name);
        let topology = self.topology.read();
        let queue = topology.queue(&*name).ok_or_else(|| title.not_found())?;
        check_owner(title, queue, as_)?;
        Ok(Arc::clone(queue))
    }

    /// Deletes a queue with its messages and bindings, and the exchanges that
    /// go with the latter; returns how many messages were ready. One that isn't
    /// there is as good as deleted.
    ///
    /// # Errors
    /// 405 when it belongs to another connection, 406 when it is to be unused
    /// or empty and isn't, 540 when that is asked of a quorum queue.
    pub fn delete_queue(
        &self,
        name: &str,
        if_unused: bool,
        if_empty: bool,
        as_: ConnectionId,
        effects: &mut Effects,
    ) -> Result<u64, Refusal> {
        let name = without_line_ends(name);
        let title = self.queue_title(&name);
        let mut topology = self.topology.write();
        let Some(queue) = topology.queue(&*name).cloned() else {
            return Ok(0);
        };
        check_owner(title, &queue, as_)?;
        let is_quorum = arguments::queue_type(&queue.spec().arguments) == Some(QueueType::Quorum);
        let condition = if if_unused { "if-unused" } else { "if-empty" };
        if is_quorum && (if_unused || if_empty) {
            let text = format!(
                "cannot delete {title}. queue.delete operations with {condition} flag set are \
                 not supported by quorum queues"
            );
            return Err(Refusal::new(ReplyCode::NotImplemented, text));
        }
        let ready = queue.delete_if(if_unused, if_empty, effects)?;
        self.forget_queue(&mut topology, &queue, effects);
        self.herald.queue_deleted(&queue, effects.actor());
        Ok(ready)
    }

    /// Deletes a queue, whoever it belongs to and whatever is in it, if it is
    /// still the one declared: an exclusive queue whose connection is gone, an
    /// auto-delete queue without consumers.
    pub fn remove_queue(&self, queue: &Arc<Queue>, effects: &mut Effects) {
        let mut topology = self.topology.write();
        let is_declared = topology
            .queue(&**queue.name())
            .is_some_and(|current| Arc::ptr_eq(current, queue));
        if is_declared {
            queue.delete(effects);
            self.forget_queue(&mut topology, queue, effects);
            self.herald.queue_deleted(queue, INTERNAL_USER);
        }
    }

    /// Deletes a queue that nobody has used for longer than it is to be kept then,
    /// unless somebody does now.
    pub fn expire_queue(&self, queue: &Arc<Queue>, effects: &mut Effects) {
        // A declaration that finds the queue has the topology locked, too: it
        // comes before this and counts as a use, or after it and finds none.
        let mut topology = self.topology.write();
        let is_declared = topology
            .queue(&**queue.name())
            .is_some_and(|current| Arc::ptr_eq(current, queue));
        if is_declared && queue.is_unused(effects.now()) {
            tracing::info!(queue = %queue.name(), vhost = %self.name, "deleted, as nobody used it");
            queue.delete(effects);
            self.forget_queue(&mut topology, queue, effects);
            self.herald.queue_deleted(queue, INTERNAL_USER);
        }
    }

    /// The exclusive queues of a connection, oldest first.
    pub fn queues_owned_by(&self, owner: ConnectionId) -> Vec<Arc<Queue>> {
        self.topology.read().queues_owned_by(owner)
    }

    fn forget_queue(&self, topology: &mut Topology, queue: &Queue, effects: &mut Effects) {
        self.note_removed(topology);
        let unused = topology.remove_queue(queue);
        let gone = topology.remove_unused(unused);
        self.tell_gone(topology, &gone, INTERNAL_USER);
        let deleted = queue.spec().durable.then(|| Change::QueueDeleted {
            vhost: Arc::clone(&self.name),
            id: queue.id(),
            name: Arc::clone(queue.name()),
        });
        let others = self.deletions(topology, &gone, effects);
        let changes: Vec<_> = deleted.into_iter().chain(others).collect();
        self.changed(&changes, effects);
    }
}

/// Whether the connection `as_` may use a queue.
pub(super) fn check_owner(
    title: Resource<'_>,
    queue: &Queue,
    as_: ConnectionId,
) -> Result<(), Refusal> {
    match queue.owner() {
        Some(owner) if owner != as_ => Err(title.locked()),
        _ => Ok(()),
    }
}

/// Whether the server may make up the name of a queue of the type called
/// `kind`: a replicated queue outlives the connection that alone knows it.
fn check_may_be_named(kind: &str) -> Result<(), Refusal> {
    match kind {
        "classic" => Ok(()),
        "quorum" | "stream" => Err(precondition(format!(
            "Cannot declare a server-named queue for type rabbit_{kind}_queue"
        ))),
        _ => Err(precondition(format!("unknown queue type '{kind}'"))),
    }
}

fn check_properties(title: Resource<'_>, spec: &QueueSpec, kind: QueueType) -> Result<(), Refusal> {
    let bad = match kind {
        QueueType::Classic => return Ok(()),
        QueueType::Quorum if spec.auto_delete => "auto-delete",
        QueueType::Quorum if spec.exclusive => "exclusive-owner",
        QueueType::Quorum if !spec.durable => "non-durable",
        QueueType::Quorum => return Ok(()),
    };
    Err(precondition(format!(
        "invalid property '{bad}' for {title}"
    )))
}
