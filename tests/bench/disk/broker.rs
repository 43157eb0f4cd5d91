//! A broker in this process, on files of our own.

use std::net::{Ipv4Addr, SocketAddr};
use std::path::Path;
use std::sync::Arc;
use std::sync::mpsc;
use std::thread::JoinHandle;

use harrier::base::config::Config;
use harrier::broker::store::Store;
use harrier::broker::vhosts::Vhosts;
use harrier::server::Server;
use harrier::server::auth::open_access;
use harrier::server::shared::Shared;
use harrier::storage::{Files, LogStore, StoreOptions};
use tokio::sync::oneshot;

/// A broker that serves until it is stopped.
pub struct Broker {
    pub address: SocketAddr,
    stop: oneshot::Sender<()>,
    thread: JoinHandle<()>,
}

impl Broker {
    /// Starts one with its data in `directory`, which goes through `files`.
    pub fn start(directory: &Path, files: impl Files + 'static) -> Self {
        let config = Config {
            data_dir: directory.to_path_buf(),
            amqp: SocketAddr::from((Ipv4Addr::LOCALHOST, 0)),
            ..Config::default()
        };
        let options = StoreOptions {
            files: Arc::new(files),
            ..StoreOptions::default()
        };
        let (stop, stopped) = oneshot::channel();
        let (ready, started) = mpsc::channel();
        let thread = std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_multi_thread()
                .enable_all()
                .build();
            runtime.unwrap().block_on(async {
                let (store, mut recovered) = LogStore::open(&config.data_dir, options).unwrap();
                let kept: Arc<dyn Store> = Arc::clone(&store) as _;
                let access = open_access(Arc::clone(&kept), &mut recovered, &config).unwrap();
                let vhosts = Vhosts::restore(Arc::clone(&kept), recovered);
                let shared = Shared::new(config, vhosts, access, kept);
                let server = Server::bind(Arc::new(shared)).await.unwrap();
                ready.send(server.address().unwrap()).unwrap();
                server
                    .run(async {
                        // It stops as well when nobody can tell it to any more.
                        let _told = stopped.await;
                    })
                    .await;
                store.close().unwrap();
            });
        });
        Self {
            address: started.recv().unwrap(),
            stop,
            thread,
        }
    }

    /// Stops it and waits until all of it is on disk.
    pub fn stop(self) {
        self.stop.send(()).unwrap();
        self.thread.join().unwrap();
    }
}
