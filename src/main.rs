//! The `harrier` program: puts the layers together.

use std::future::Future;
use std::io::Write;
use std::net::SocketAddr;
use std::path::Path;
use std::process::ExitCode;
use std::sync::Arc;

use harrier::base::config::Config;
use harrier::broker::store::{Remainder, Store, Stored};
use harrier::broker::vhosts::Vhosts;
use harrier::cli::store::{Directory, PrintMessage, Queue, Segment, StoreTools, StoredMessage};
use harrier::cli::{self, Below, Failure};
use harrier::management::{
    Api, Encrypted, Envelope, Listener, Management, Plain, definitions, otlp, rates,
};
use harrier::server::Server;
use harrier::server::auth;
use harrier::server::oauth2::Verifier;
use harrier::server::shared::Shared;
use harrier::server::supervisor::{self, State};
use harrier::server::tls::Certificates;
use harrier::storage::{
    Inspection, LogStore, QueueReport, SegmentReport, StoreError, StoreOptions,
};
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::watch;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

#[allow(
    unsafe_code,
    reason = "a function of the allocator linked in that its crate doesn't show"
)]
// SAFETY: this is how mimalloc.h declares it; it may be called at any time.
unsafe extern "C" {
    /// Gives what the calling thread keeps unused back to the system.
    safe fn mi_collect(force: bool);
}

/// Keeps memory in small pages where the system gives huge ones unasked. The
/// first octet used of one makes 2 MiB resident, seven times the memory of an
/// idle broker in all, and no message is cheaper for it.
fn refuse_huge_pages() {
    #[cfg(target_os = "linux")]
    #[allow(unsafe_code, reason = "there is no other interface for a process")]
    // SAFETY: PR_SET_THP_DISABLE takes a number and touches no memory of ours.
    unsafe {
        libc::prctl(libc::PR_SET_THP_DISABLE, 1 as libc::c_ulong, 0, 0, 0);
    }
}

fn main() -> ExitCode {
    refuse_huge_pages();
    cli::run(Below {
        serve: run,
        store: StoreTools { look, messages },
    })
}

fn run(config: Config) -> Result<(), Failure> {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .map_err(|error| Failure::Failed(format!("cannot start threads: {error}")))?;
    runtime.block_on(serve(config))
}

/// Serves until the process is told to stop.
async fn serve(config: Config) -> Result<(), Failure> {
    let stop = stop_signal()?;
    let options = StoreOptions {
        segment_size: config.log_segment_size,
        ..StoreOptions::default()
    };
    let (store, mut recovered) = LogStore::open(&config.data_dir, options).map_err(failed)?;
    let kept = Arc::clone(&store) as Arc<dyn Store>;
    let access =
        auth::open_access(Arc::clone(&kept), &mut recovered, &config).map_err(|error| {
            Failure::Usage(format!(
                "default_user, default_vhost or default_queue_type: {error}"
            ))
        })?;
    let vhosts = Vhosts::restore(Arc::clone(&kept), recovered);
    let certificates = open_certificates(&config)?;
    let verifier = Verifier::open(&config.oauth2);
    let verifier = verifier.map_err(|error| Failure::Usage(error.to_string()))?;
    let mut shared = Shared::new(config, vhosts, access, kept);
    shared.certificates = certificates;
    shared.verifier = verifier.map(Arc::new);
    shared.release_memory = || mi_collect(true);
    let shared = Arc::new(shared);
    if let Some(path) = &shared.config.load_definitions {
        definitions::load(&shared, path).map_err(|error| Failure::Usage(error.to_string()))?;
    }
    let server = Server::bind(Arc::clone(&shared))
        .await
        .map_err(|error| Failure::Failed(error.to_string()))?;
    let mut listeners = amqp_listeners(&server)
        .map_err(|error| Failure::Failed(format!("cannot tell where AMQP is served: {error}")))?;
    let managements = bind_managements(&shared, &mut listeners).await?;
    let metrics = bind_metrics(shared.config.prometheus, &mut listeners).await;
    let api = Arc::new(Api::new(shared, listeners));
    let (end, ended) = watch::channel(false);
    otlp::start(&api, ended.clone());
    let answer =
        |management: Management| tokio::spawn(management.run(Arc::clone(&api), ended.clone()));
    // Nobody asks how fast anything goes where nothing answers.
    let sampling = (!managements.is_empty()).then(|| tokio::spawn(rates::run(Arc::clone(&api))));
    let mut answering: Vec<_> = managements.into_iter().map(answer).collect();
    let told = metrics.map(|metrics| metrics.run_metrics(Arc::clone(&api), ended.clone()));
    answering.extend(told.map(tokio::spawn));
    let shovels = Arc::clone(&api.shovels);
    shovels.start();
    announce(&ready_line(&api.listeners));
    tell_supervisor(State::Ready);
    server
        .run(async {
            stop.await;
            tell_supervisor(State::Stopping);
            // Clients of this broker, they end before it does.
            shovels.stop().await;
        })
        .await;
    drop(end);
    if let Some(sampling) = sampling {
        sampling.abort();
    }
    for answers in answering {
        // They end by themselves, but for a panic, which is logged.
        let _ended = answers.await;
    }
    store
        .close()
        .map_err(|error| Failure::Failed(format!("cannot close the store: {error}")))?;
    tracing::info!("stopped");
    Ok(())
}

/// Where AMQP is served.
fn amqp_listeners(server: &Server) -> std::io::Result<Vec<Listener>> {
    let mut listeners = vec![Listener {
        protocol: "amqp",
        address: server.address()?,
        tls: false,
    }];
    if let Some(address) = server.encrypted_address()? {
        listeners.push(Listener {
            protocol: "amqp/ssl",
            address,
            tls: true,
        });
    }
    Ok(listeners)
}

/// Binds the addresses of the management API, those that are wanted.
async fn bind_managements(
    shared: &Shared,
    listeners: &mut Vec<Listener>,
) -> Result<Vec<Management>, Failure> {
    let plain: Arc<dyn Envelope> = Arc::new(Plain);
    let mut wanted = vec![("http", shared.config.http, plain)];
    if let Some(certificates) = &shared.certificates {
        let tls = Arc::new(Encrypted(Arc::clone(certificates)));
        wanted.push(("https", shared.config.https, tls));
    }
    let mut managements = Vec::new();
    for (protocol, wanted, envelope) in wanted {
        let Some(wanted) = wanted else {
            continue;
        };
        let management = Management::bind(wanted, envelope).await.map_err(|error| {
            Failure::Failed(format!(
                "cannot listen on {wanted}: {error}; choose another address with --{protocol}, \
                 or --{protocol} off"
            ))
        })?;
        listeners.push(Listener {
            protocol,
            address: management.address().unwrap_or(wanted),
            tls: protocol == "https",
        });
        managements.push(management);
    }
    Ok(managements)
}

/// Binds the address of the metrics, if it is wanted. That it can't be had is no
/// reason not to serve messages: Prometheus says that nobody answers it.
async fn bind_metrics(
    wanted: Option<SocketAddr>,
    listeners: &mut Vec<Listener>,
) -> Option<Management> {
    let wanted = wanted?;
    match Management::bind(wanted, Arc::new(Plain)).await {
        Ok(metrics) => {
            listeners.push(Listener {
                protocol: "http/prometheus",
                address: metrics.address().unwrap_or(wanted),
                tls: false,
            });
            Some(metrics)
        }
        Err(error) => {
            tracing::error!(
                %wanted,
                %error,
                "metrics aren't served: choose another address with --prometheus, or --prometheus off"
            );
            None
        }
    }
}

/// Says where everything is served.
fn ready_line(listeners: &[Listener]) -> String {
    let mut line = String::from("harrier ready");
    for listener in listeners {
        let name = match listener.protocol {
            "amqp/ssl" => "amqps",
            "http/prometheus" => "prometheus",
            name => name,
        };
        line.push_str(&format!(" {name}={}", listener.address));
    }
    line
}

/// What is needed to serve TLS, if it is to be served.
fn open_certificates(config: &Config) -> Result<Option<Arc<Certificates>>, Failure> {
    if config.amqps.or(config.https).is_none() {
        return Ok(None);
    }
    let opened = Certificates::open(config.tls.clone());
    let opened = opened.map_err(|error| Failure::Usage(error.to_string()))?;
    Ok(Some(Arc::new(opened)))
}

/// Tells a service manager, which may wait for it.
fn tell_supervisor(state: State) {
    if let Err(error) = supervisor::tell(state) {
        tracing::warn!(%error, "cannot tell the service manager");
    }
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

fn failed(error: StoreError) -> Failure {
    Failure::Failed(error.to_string())
}

/// For `harrier store check`.
fn look(dir: &Path) -> Result<Directory, Failure> {
    Ok(directory(&Inspection::of(dir).map_err(failed)?))
}

/// For `harrier store dump`.
fn messages(
    dir: &Path,
    vhost: &str,
    name: &str,
    print: &mut PrintMessage<'_>,
) -> Result<Directory, Failure> {
    let found = Inspection::of(dir).map_err(failed)?;
    let Some(queue) = found.queue(vhost, name) else {
        return Err(Failure::Failed(format!(
            "no durable queue '{name}' in vhost '{vhost}' of {}; `harrier store check` lists them",
            dir.display()
        )));
    };
    found.messages(queue, |lane: &Remainder, stored: Stored| {
        let view = stored.message.view();
        print(&StoredMessage {
            position: stored.position.0,
            exchange: view.exchange,
            routing_key: view.routing_key,
            properties: view.properties,
            body: view.body,
            redelivered: stored.position <= lane.delivered || stored.attempts.returns > 0,
            returns: stored.attempts.returns,
            failures: stored.attempts.failures,
            last_return: stored.attempts.cause.map(|cause| cause.name()),
            deadline: stored.deadline,
        })
    });
    Ok(directory(&found))
}

fn directory(found: &Inspection) -> Directory {
    let segment = |segment: &SegmentReport| Segment {
        name: segment
            .path
            .file_name()
            .map(|name| name.to_string_lossy().into_owned())
            .unwrap_or_default(),
        size: segment.size,
        header_damaged: !segment.header,
        frames: segment.frames,
        records: segment.records,
        live: segment.live,
        damaged: segment.damaged.clone(),
        torn: segment.torn,
    };
    let queue = |queue: &QueueReport| Queue {
        vhost: queue.vhost.clone(),
        name: queue.name.clone(),
        messages: queue.messages(),
        bytes: queue.bytes(),
    };
    Directory {
        segments: found.segments.iter().map(segment).collect(),
        missing: found.missing.clone(),
        database: found.database.clone(),
        vhosts: found.vhosts,
        users: found.users,
        parameters: found.parameters,
        queues: found.queues.iter().map(queue).collect(),
    }
}
