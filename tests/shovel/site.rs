//! A broker with its shovels.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use harrier::broker::parameters::ParameterKey;
use harrier::management::parameters;
use harrier::management::shovel::{COMPONENT, Shovels, Status};
use harrier::wire::FieldTable;
use serde_json::Value;
use tokio::runtime::Runtime;

use crate::broker::eventually;
use crate::client::{Client, Said};
use crate::hosted::Hosted;

/// A broker with its shovels.
pub struct Site {
    pub hosted: Hosted,
    pub shovels: Arc<Shovels>,
    runtime: Runtime,
}

impl Site {
    pub fn start() -> Self {
        Self::with(Hosted::start())
    }

    pub fn on(directory: &Path) -> Self {
        Self::with(Hosted::on(directory))
    }

    fn with(hosted: Hosted) -> Self {
        let runtime = Runtime::new().unwrap();
        let shovels = Shovels::new(Arc::clone(&hosted.shared));
        runtime.block_on(async { shovels.start() });
        Self {
            hosted,
            shovels,
            runtime,
        }
    }

    pub fn client(&self) -> Client {
        self.hosted.client("guest")
    }

    /// Sets a shovel of the virtual host `/`.
    #[track_caller]
    pub fn set(&self, name: &str, value: &Value) {
        self.try_set(name, value, "guest").unwrap();
    }

    pub fn try_set(&self, name: &str, value: &Value, by: &str) -> Result<(), String> {
        let set = parameters::set(&self.hosted.shared, key(name), value, by);
        set.map(drop).map_err(|error| error.to_string())
    }

    pub fn clear(&self, name: &str) {
        let cleared = self.hosted.shared.clear_parameter(&key(name), "guest");
        assert!(cleared.is_some());
    }

    /// Whether the shovel's parameter is there.
    pub fn is_set(&self, name: &str) -> bool {
        let parameters = self.hosted.shared.vhosts.parameters();
        parameters.get(&key(name)).is_some()
    }

    pub fn status(&self, name: &str) -> Option<Status> {
        let mut all = self.shovels.list(Some("/")).into_iter();
        all.find(|status| status.name == name)
    }

    /// Waits until a shovel is in a state.
    #[track_caller]
    pub fn comes_to(&self, name: &str, state: &str) {
        eventually(&format!("{name} is {state}"), || {
            self.status(name)
                .is_some_and(|status| status.state == state)
        });
    }

    /// Ends the shovels, as a broker that stops does.
    pub fn stop_shovels(&self) {
        self.runtime.block_on(self.shovels.stop());
    }
}

fn key(name: &str) -> ParameterKey {
    ParameterKey::Of {
        component: COMPONENT.into(),
        vhost: "/".into(),
        name: name.into(),
    }
}

/// Publishes persistent messages whose bodies are their numbers, and waits until
/// they are confirmed.
pub fn publish_numbers(client: &mut Client, queue: &str, numbers: std::ops::Range<u64>) {
    client.confirm_select(1);
    let count = numbers.end - numbers.start;
    for number in numbers {
        let persistent = [0x10, 0, 2];
        client.put_publish(1, ("", queue), &persistent, number.to_string().as_bytes());
    }
    client.flush();
    client.confirmed(count);
}

/// Takes messages until all of `count` numbers were seen; how often each was.
#[track_caller]
pub fn take_numbers(client: &mut Client, queue: &str, count: u64) -> BTreeMap<u64, u32> {
    let mut seen = BTreeMap::new();
    client.consume(1, queue, "taker");
    while (seen.len() as u64) < count {
        if let Said::Deliver { message, .. } = client.said() {
            let number = String::from_utf8(message.body).unwrap();
            *seen.entry(number.parse().unwrap()).or_default() += 1;
        }
    }
    assert_eq!(seen.keys().next_back(), Some(&(count - 1)));
    seen
}

pub fn declare(client: &mut Client, queue: &str) {
    client.declare_durable(queue, FieldTable::new());
}

/// How many messages are ready.
pub fn ready(client: &mut Client, queue: &str) -> u32 {
    client.counts(1, queue).0
}
