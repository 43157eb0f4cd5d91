//! Which messages are traced.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use crate::base::limits::SHORT_STR_MAX;
use crate::broker::message::MessageView;
use crate::broker::queue::Queue;
use crate::wire::{FieldValue, Properties};

/// The bits of a [`Sample`]'s fraction.
const FRACTION_BITS: u32 = 32;

/// What a message has to be like. What isn't said doesn't matter. In names and
/// keys `*` stands for anything; ids and headers are compared as they are.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Criteria {
    /// The exchange it is published to; that of the default one is empty.
    pub exchange: Option<Arc<str>>,
    /// Its routing key.
    pub routing_key: Option<Arc<str>>,
    /// A queue it goes to.
    pub queue: Option<Arc<str>>,
    /// Who publishes it.
    pub user: Option<Arc<str>>,
    /// Its correlation id.
    pub correlation_id: Option<Arc<str>>,
    /// Its message id.
    pub message_id: Option<Arc<str>>,
    /// A header it has, and the text of its value.
    pub headers: Vec<(Arc<str>, Arc<str>)>,
}

/// The part of messages that is taken: evenly, of ten every tenth.
#[derive(Debug)]
pub struct Sample {
    rate: f64,
    step: u64,
    /// Moves on by `step` with each; one is taken whenever its whole part does.
    sum: AtomicU64,
}

impl Sample {
    /// Takes all.
    pub const fn all() -> Self {
        Self {
            rate: 1.0,
            step: 1 << FRACTION_BITS,
            sum: AtomicU64::new(0),
        }
    }

    /// Takes that part of all, more than 0 and at most 1; the first one always.
    pub fn new(rate: f64) -> Option<Self> {
        if !(rate > 0.0 && rate <= 1.0) {
            return None;
        }
        let whole = 1_u64 << FRACTION_BITS;
        Some(Self {
            rate,
            step: ((rate * whole as f64) as u64).max(1),
            sum: AtomicU64::new(whole - 1),
        })
    }

    /// The part that is taken.
    pub fn rate(&self) -> f64 {
        self.rate
    }

    /// Whether the next one is taken.
    pub fn takes(&self) -> bool {
        let before = self.sum.fetch_add(self.step, Ordering::Relaxed);
        before >> FRACTION_BITS != before.wrapping_add(self.step) >> FRACTION_BITS
    }
}

/// A rule: has messages of a virtual host traced.
#[derive(Debug)]
pub struct Rule {
    /// The virtual host.
    pub vhost: Arc<str>,
    /// Its name, unique there.
    pub name: Arc<str>,
    /// What the messages are like.
    pub criteria: Criteria,
    /// How many of them are taken.
    pub sample: Sample,
    /// Who made it.
    pub by: Arc<str>,
    /// When, milliseconds since 1970.
    pub since: u64,
    /// How many messages it has chosen.
    pub(super) chosen: AtomicU64,
}

/// A rule that can't be.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RuleError {
    /// It can't be called that.
    #[error("the name of a rule has 1 to {SHORT_STR_MAX} bytes: this has {0}")]
    BadName(usize),
    /// There is no such virtual host.
    #[error("no vhost '{0}'")]
    NoSuchVhost(String),
    /// There are as many as there may be.
    #[error("there are {0} rules already, and no more may be: stop one")]
    TooMany(usize),
}

impl Rule {
    /// A rule that has chosen nothing yet.
    pub fn new(
        (vhost, name): (Arc<str>, Arc<str>),
        criteria: Criteria,
        sample: Sample,
        by: Arc<str>,
        since: u64,
    ) -> Self {
        Self {
            vhost,
            name,
            criteria,
            sample,
            by,
            since,
            chosen: AtomicU64::new(0),
        }
    }

    /// How many messages it has chosen.
    pub fn chosen(&self) -> u64 {
        self.chosen.load(Ordering::Relaxed)
    }

    /// Whether it chooses a message of its virtual host that `user` publishes and
    /// that goes to `queues`.
    pub(super) fn chooses(
        &self,
        user: &str,
        message: &MessageView<'_>,
        queues: &[Arc<Queue>],
    ) -> bool {
        let is_chosen = self.criteria.are_met(user, message, queues) && self.sample.takes();
        if is_chosen {
            self.chosen.fetch_add(1, Ordering::Relaxed);
        }
        is_chosen
    }
}

impl Criteria {
    /// Whether a message that `user` publishes and that goes to `queues` is like that.
    pub fn are_met(&self, user: &str, message: &MessageView<'_>, queues: &[Arc<Queue>]) -> bool {
        let is = |wanted: &Option<Arc<str>>, found: &[u8]| {
            wanted.as_ref().is_none_or(|wanted| fits(wanted, found))
        };
        let goes_to = |wanted: &Arc<str>| queues.iter().any(|q| fits(wanted, q.name().as_bytes()));
        is(&self.exchange, message.exchange)
            && is(&self.routing_key, message.routing_key)
            && is(&self.user, user.as_bytes())
            && self.queue.as_ref().is_none_or(goes_to)
            && self.properties_fit(message.properties)
    }

    fn properties_fit(&self, raw: &[u8]) -> bool {
        let has_ids = self.correlation_id.is_some() || self.message_id.is_some();
        if !has_ids && self.headers.is_empty() {
            return true;
        }
        let properties = Properties::parse(raw).unwrap_or_default();
        let is = |wanted: &Option<Arc<str>>, found: Option<&[u8]>| {
            let wanted = wanted.as_ref().map(|wanted| wanted.as_bytes());
            wanted.is_none() || wanted == found
        };
        if !is(&self.correlation_id, properties.correlation_id)
            || !is(&self.message_id, properties.message_id)
        {
            return false;
        }
        if self.headers.is_empty() {
            return true;
        }
        let headers = properties.headers_table().unwrap_or_default();
        let mut wanted = self.headers.iter();
        wanted.all(|(name, text)| headers.get(name).is_some_and(|value| says(value, text)))
    }
}

/// Whether `text` is how a header's value is written.
fn says(value: &FieldValue, text: &str) -> bool {
    match value {
        FieldValue::Bool(flag) => text == if *flag { "true" } else { "false" },
        _ => match (value.as_str(), value.as_i64()) {
            (Some(found), _) => found == text,
            (None, Some(number)) => text.parse() == Ok(number),
            (None, None) => value
                .as_f64()
                .is_some_and(|number| text.parse() == Ok(number)),
        },
    }
}

/// Whether `name` is like `wanted`, in which `*` stands for anything.
pub fn fits(wanted: &str, name: &[u8]) -> bool {
    let mut parts = wanted.split('*').map(str::as_bytes);
    let first = parts.next().unwrap_or_default();
    let Some(mut rest) = name.strip_prefix(first) else {
        return false;
    };
    let Some(last) = parts.next_back() else {
        return rest.is_empty();
    };
    for part in parts {
        // The first place is as good as any: what follows has the most room.
        let mut starts = 0..=rest.len();
        let Some(at) = starts.find(|at| rest.get(*at..).is_some_and(|r| r.starts_with(part)))
        else {
            return false;
        };
        rest = rest.get(at + part.len()..).unwrap_or_default();
    }
    rest.ends_with(last)
}
