//! A broker within the test's own process, for what is changed in a running
//! one: users, permissions, virtual hosts.

use std::net::{Ipv4Addr, SocketAddr};
use std::path::Path;
use std::sync::{Arc, mpsc};
use std::thread::JoinHandle;

use harrier::base::config::Config;
use harrier::broker::access::{Permissions, TopicPermission};
use harrier::broker::store::{Recovered, Store};
use harrier::broker::vhosts::Vhosts;
use harrier::server::Server;
use harrier::server::auth::{hashed, open_access};
use harrier::server::shared::Shared;
use harrier::storage::{LogStore, StoreOptions};
use tempfile::TempDir;
use tokio::sync::oneshot;

use crate::client::{Client, Said};

/// What `connection.open` is answered with when it is granted.
pub const OPENED: Said = Said::Other(0, (10, 41));

/// A broker that serves until it is dropped.
pub struct Hosted {
    pub address: SocketAddr,
    pub shared: Arc<Shared>,
    stop: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
    /// Goes away after the broker.
    _directory: Option<TempDir>,
}

impl Hosted {
    /// A broker with a data directory of its own.
    pub fn start() -> Self {
        let directory = tempfile::tempdir().unwrap();
        let mut hosted = Self::on(directory.path());
        hosted._directory = Some(directory);
        hosted
    }

    /// A broker on a data directory that outlives it.
    pub fn on(directory: &Path) -> Self {
        let directory = directory.to_path_buf();
        Self::opening(move || {
            let options = StoreOptions::default();
            let (store, recovered) = LogStore::open(&directory, options).unwrap();
            let kept: Arc<dyn Store> = Arc::clone(&store) as _;
            (kept, recovered, Some(store))
        })
    }

    /// A broker on a store that holds nothing yet.
    pub fn with_store(store: Arc<dyn Store>) -> Self {
        Self::opening(|| (store, Recovered::default(), None))
    }

    /// A broker on the store that `open` opens, and on what that held. A log is
    /// closed in the end.
    fn opening(
        open: impl FnOnce() -> (Arc<dyn Store>, Recovered, Option<Arc<LogStore>>) + Send + 'static,
    ) -> Self {
        let config = Config {
            amqp: SocketAddr::from((Ipv4Addr::LOCALHOST, 0)),
            ..Config::default()
        };
        let (stop, stopped) = oneshot::channel();
        let (ready, started) = mpsc::channel();
        let thread = std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_multi_thread()
                .enable_all()
                .build();
            runtime.unwrap().block_on(async {
                let (kept, mut recovered, log) = open();
                let access = open_access(Arc::clone(&kept), &mut recovered, &config).unwrap();
                let vhosts = Vhosts::restore(Arc::clone(&kept), recovered);
                let shared = Arc::new(Shared::new(config, vhosts, access, kept));
                let server = Server::bind(Arc::clone(&shared)).await.unwrap();
                let address = server.address().unwrap();
                ready.send((address, shared)).unwrap();
                server
                    .run(async {
                        // It stops as well when nobody can tell it to any more.
                        let _told = stopped.await;
                    })
                    .await;
                if let Some(log) = log {
                    log.close().unwrap();
                }
            });
        });
        let (address, shared) = started.recv().unwrap();
        Self {
            address,
            shared,
            stop: Some(stop),
            thread: Some(thread),
            _directory: None,
        }
    }

    /// Makes a user, whose password is the name, with tags.
    pub fn user(&self, name: &str, tags: &[&str]) {
        let tags = tags.iter().map(|tag| (*tag).into()).collect();
        let password = hashed(name.as_bytes());
        self.shared
            .put_user(name, password, tags, "operator")
            .unwrap();
    }

    /// Permits a user to configure, write and read in `/`.
    pub fn permit(&self, user: &str, patterns: [&str; 3]) {
        let [configure, write, read] = patterns;
        let permissions = Permissions::new(configure, write, read).unwrap();
        let done = self
            .shared
            .set_permissions(user, "/", permissions, "operator");
        done.unwrap();
    }

    /// Permits a user to write and read with some routing keys in `/`.
    pub fn permit_topic(&self, user: &str, exchange: &str, write: &str, read: &str) {
        let permission = TopicPermission::new(exchange, write, read).unwrap();
        let done = self
            .shared
            .set_topic_permission(user, "/", permission, "operator");
        done.unwrap();
    }

    /// A client of `user` in `/` with channel 1 open.
    #[track_caller]
    pub fn client(&self, user: &str) -> Client {
        let (mut client, said) = Client::enter(self.address, user, "/");
        assert_eq!(said, OPENED);
        client.open_channel(1);
        client
    }

    /// Stops it and waits until all of it is on disk.
    pub fn stop(mut self) {
        self.end();
    }

    fn end(&mut self) {
        let Some(thread) = self.thread.take() else {
            return;
        };
        self.stop.take();
        let ended = thread.join();
        // A test that has failed already says so by itself.
        assert!(ended.is_ok() || std::thread::panicking());
    }
}

impl Drop for Hosted {
    fn drop(&mut self) {
        self.end();
    }
}
