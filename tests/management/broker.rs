//! A broker with its management API, and requests to it.

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::{Arc, mpsc};
use std::thread::JoinHandle;
use std::time::Duration;

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use harrier::base::config::Config;
use harrier::broker::access::Permissions;
use harrier::broker::store::Store;
use harrier::broker::vhosts::Vhosts;
use harrier::management::{Api, Listener, Management, Plain, otlp};
use harrier::server::Server;
use harrier::server::auth::{hashed, open_access};
use harrier::server::shared::Shared;
use harrier::storage::{LogStore, StoreOptions};
use serde_json::Value;
use tempfile::TempDir;
use tokio::sync::{oneshot, watch};
use ureq::http::{HeaderMap, Request};

/// How long anything may take before it counts as stuck.
pub const PATIENCE: Duration = Duration::from_secs(60);

/// A broker that serves until it is dropped.
pub struct Broker {
    /// Where AMQP is served.
    pub amqp: SocketAddr,
    /// Where HTTP is served.
    pub http: SocketAddr,
    pub shared: Arc<Shared>,
    stop: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
    /// Goes away after the broker.
    _directory: TempDir,
}

impl Broker {
    /// A broker with a data directory of its own.
    pub fn start() -> Self {
        Self::configured(|_| ())
    }

    /// The same, with `change` made to its configuration.
    pub fn configured(change: impl FnOnce(&mut Config)) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let mut config = Config {
            data_dir: directory.path().to_path_buf(),
            amqp: SocketAddr::from((Ipv4Addr::LOCALHOST, 0)),
            ..Config::default()
        };
        change(&mut config);
        let (stop, stopped) = oneshot::channel();
        let (ready, started) = mpsc::channel();
        let thread = std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_multi_thread()
                .enable_all()
                .build();
            runtime.unwrap().block_on(serve(config, ready, stopped));
        });
        let (amqp, http, shared) = started.recv().unwrap();
        Self {
            amqp,
            http,
            shared,
            stop: Some(stop),
            thread: Some(thread),
            _directory: directory,
        }
    }

    /// Makes a user, whose password is the name, with tags.
    pub fn user(&self, name: &str, tags: &[&str]) {
        let tags = tags.iter().map(|tag| (*tag).into()).collect();
        let password = hashed(name.as_bytes());
        self.shared.put_user(name, password, tags, "guest").unwrap();
    }

    /// Permits a user to configure, write and read in a virtual host.
    pub fn permit(&self, user: &str, vhost: &str, patterns: [&str; 3]) {
        let [configure, write, read] = patterns;
        let permissions = Permissions::new(configure, write, read).unwrap();
        let done = self
            .shared
            .set_permissions(user, vhost, permissions, "guest");
        done.unwrap();
    }

    /// Asks as guest.
    pub fn get(&self, path: &str) -> Answer {
        self.ask("guest", "GET", path, "")
    }

    /// Asks for something as guest that has to be there.
    #[track_caller]
    pub fn json(&self, path: &str) -> Value {
        let answer = self.get(path);
        assert_eq!(answer.status, 200, "{path}: {}", answer.body);
        answer.json()
    }

    /// Asks as guest for a change.
    pub fn put(&self, path: &str, body: &str) -> Answer {
        self.ask("guest", "PUT", path, body)
    }

    /// Asks as guest for something to be made or done.
    pub fn post(&self, path: &str, body: &str) -> Answer {
        self.ask("guest", "POST", path, body)
    }

    /// Asks as guest for something to go.
    pub fn delete(&self, path: &str) -> Answer {
        self.ask("guest", "DELETE", path, "")
    }

    /// Asks as `user`, whose password is the name; `path` is below `/api`.
    pub fn ask(&self, user: &str, method: &str, path: &str, body: &str) -> Answer {
        let token = BASE64_STANDARD.encode(format!("{user}:{user}"));
        let authorization = format!("Basic {token}");
        let headers = [("authorization", &*authorization)];
        self.send(method, &format!("/api{path}"), &headers, body)
    }

    /// Sends a request as it is.
    pub fn send(&self, method: &str, path: &str, headers: &[(&str, &str)], body: &str) -> Answer {
        let mut request = Request::builder()
            .method(method)
            .uri(format!("http://{}{path}", self.http));
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let agent: ureq::Agent = ureq::Agent::config_builder()
            .http_status_as_error(false)
            .allow_non_standard_methods(true)
            .build()
            .into();
        let mut response = agent.run(request.body(body.to_owned()).unwrap()).unwrap();
        Answer {
            status: response.status().as_u16(),
            headers: response.headers().clone(),
            body: response.body_mut().read_to_string().unwrap(),
        }
    }
}

/// What a request was answered with.
pub struct Answer {
    pub status: u16,
    pub headers: HeaderMap,
    pub body: String,
}

impl Answer {
    /// The body.
    #[track_caller]
    pub fn json(&self) -> Value {
        let json = serde_json::from_str(&self.body);
        json.unwrap_or_else(|error| panic!("{error}: {:?}", self.body))
    }

    /// A header's value; empty where there is none.
    pub fn header(&self, name: &str) -> &str {
        let value = self.headers.get(name);
        value.map_or("", |value| value.to_str().unwrap())
    }

    /// It is of this status and says exactly this.
    #[track_caller]
    pub fn is(&self, status: u16, body: &str) {
        assert_eq!((self.status, &*self.body), (status, body));
    }
}

async fn serve(
    config: Config,
    ready: mpsc::Sender<(SocketAddr, SocketAddr, Arc<Shared>)>,
    stopped: oneshot::Receiver<()>,
) {
    let options = StoreOptions::default();
    let (store, mut recovered) = LogStore::open(&config.data_dir, options).unwrap();
    let kept: Arc<dyn Store> = Arc::clone(&store) as _;
    let access = open_access(Arc::clone(&kept), &mut recovered, &config).unwrap();
    let vhosts = Vhosts::restore(Arc::clone(&kept), recovered);
    let shared = Arc::new(Shared::new(config, vhosts, access, kept));
    let server = Server::bind(Arc::clone(&shared)).await.unwrap();
    let anywhere = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
    let management = Management::bind(anywhere, Arc::new(Plain)).await.unwrap();
    let (amqp, http) = (server.address().unwrap(), management.address().unwrap());
    let listener = |protocol, address| Listener {
        protocol,
        address,
        tls: false,
    };
    let listeners = vec![listener("amqp", amqp), listener("http", http)];
    let api = Arc::new(Api::new(Arc::clone(&shared), listeners));
    let shovels = Arc::clone(&api.shovels);
    shovels.start();
    let (end, ended) = watch::channel(false);
    otlp::start(&api, ended.clone());
    let answering = tokio::spawn(management.run(api, ended));
    ready.send((amqp, http, shared)).unwrap();
    server
        .run(async {
            // It stops as well when nobody can tell it to any more.
            let _told = stopped.await;
            shovels.stop().await;
        })
        .await;
    drop(end);
    answering.await.unwrap();
    store.close().unwrap();
}

impl Drop for Broker {
    fn drop(&mut self) {
        self.stop.take();
        if let Some(thread) = self.thread.take() {
            let ended = thread.join();
            // A test that has failed already says so by itself.
            assert!(ended.is_ok() || std::thread::panicking());
        }
    }
}
