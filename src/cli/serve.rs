//! `harrier serve`: the broker.

use std::future::Future;
use std::io::Write;
use std::path::PathBuf;
use std::sync::Arc;

use clap::Args;
use tokio::signal::unix::{SignalKind, signal};

use super::config_file::Keys;
use super::{Failure, logging};
use crate::base::config::Config;
use crate::broker::store::Store;
use crate::broker::vhosts::Vhosts;
use crate::server::Server;
use crate::server::auth::ConfiguredUser;
use crate::server::shared::Shared;
use crate::storage::{LogStore, StoreOptions};

/// Runs the broker until SIGTERM or SIGINT.
#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  \
    harrier serve\n  \
    harrier serve --data-dir /var/lib/harrier --amqp 0.0.0.0:5672\n  \
    harrier serve --config harrier.toml --log-format json\n\n\
    Every key of config/harrier.toml is a flag and a HARRIER_* variable, too;\n\
    a flag comes before a variable, a variable before the file.")]
pub struct ServeCommand {
    /// Configuration file (TOML)
    #[arg(long, env = "HARRIER_CONFIG", value_name = "FILE")]
    config: Option<PathBuf>,
    #[command(flatten)]
    keys: Keys,
}

impl ServeCommand {
    /// Serves until the process is told to stop.
    ///
    /// # Errors
    /// A configuration that makes no sense, a data directory or an address
    /// that can't be used.
    pub fn run(self) -> Result<(), Failure> {
        let keys = match &self.config {
            Some(path) => self.keys.or(Keys::from_file(path)?),
            None => self.keys,
        };
        let (config, log) = keys.resolve()?;
        logging::start(log.level, log.format);
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .enable_all()
            .build()
            .map_err(|error| Failure::Failed(format!("cannot start threads: {error}")))?;
        runtime.block_on(serve(config))
    }
}

async fn serve(config: Config) -> Result<(), Failure> {
    let stop = stop_signal()?;
    let (store, recovered) = LogStore::open(&config.data_dir, StoreOptions::default())
        .map_err(|error| Failure::Failed(error.to_string()))?;
    let vhosts = Vhosts::restore(Arc::clone(&store) as Arc<dyn Store>, recovered);
    let authenticator = Box::new(ConfiguredUser::new(&config));
    let wanted = config.amqp;
    let shared = Shared::new(
        config,
        vhosts,
        Arc::clone(&store) as Arc<dyn Store>,
        authenticator,
    );
    let server = Server::bind(Arc::new(shared)).await.map_err(|error| {
        Failure::Failed(format!(
            "cannot listen on {wanted}: {error}; choose another address with --amqp"
        ))
    })?;
    let address = server.address().unwrap_or(wanted);
    announce(&format!("harrier ready amqp={address}"));
    server.run(stop).await;
    store
        .close()
        .map_err(|error| Failure::Failed(format!("cannot close the store: {error}")))?;
    tracing::info!("stopped");
    Ok(())
}

/// The one line on stdout that scripts wait for.
fn announce(line: &str) {
    let mut stdout = std::io::stdout().lock();
    // Nobody may be reading; the broker serves all the same.
    let _unread = writeln!(stdout, "{line}").and_then(|()| stdout.flush());
}

/// A future that is ready once the process is asked to stop.
fn stop_signal() -> Result<impl Future<Output = ()>, Failure> {
    let on = |kind| {
        signal(kind).map_err(|error| Failure::Failed(format!("cannot wait for signals: {error}")))
    };
    let mut terminate = on(SignalKind::terminate())?;
    let mut interrupt = on(SignalKind::interrupt())?;
    Ok(async move {
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
    })
}
