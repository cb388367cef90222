//! `counterfoil serve`: from an empty directory to answered requests, and an orderly end.

use std::io::IsTerminal;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use tokio::net::TcpListener;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::watch;
use tokio::task::JoinSet;
use tracing::{info, warn};

use counterfoil_authority::names::ClientName;

use super::failure::Failure;
use super::local::{LocalArgs, with_causes};
use super::print;
use crate::app;
use crate::background::Steps;
use crate::clock::Stopwatch;
use crate::config::{Config, load};
use crate::http::{self, AppState, Front};
use crate::installation::{self, IfEmpty, Installation, Lock, write_admin_key, write_setup_link};
use crate::ldap::{self, LdapDoor, Start};
use crate::listener::{Door, Limits};
use crate::systemd::{self, Said, Sockets};
use crate::telemetry;
use crate::tls::Certificates;

/// The name of the first administrator.
pub(crate) const FIRST_ADMIN: &str = "admin";

/// Run the server; an empty data directory becomes a new installation
#[derive(Debug, clap::Args)]
pub(crate) struct ServeArgs {
    #[command(flatten)]
    local: LocalArgs,
    /// Where to serve HTTP [default: 127.0.0.1:8780]
    #[arg(long, value_name = "ADDRESS")]
    listen: Option<String>,
    /// Where to serve LDAP [default: 127.0.0.1:3890]
    #[arg(long, value_name = "ADDRESS")]
    ldap_listen: Option<String>,
}

/// The signals that a server listens to.
struct Signals {
    terminate: Signal,
    interrupt: Signal,
    /// The terminal is closed; `None` where somebody (`nohup`) wants that ignored.
    hangup: Option<Signal>,
    /// Whether a hangup comes from a service manager, which has no terminal to close and means that
    /// files are to be read again.
    managed: bool,
}

/// What a signal asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Asked {
    End,
    Reload,
}

impl Signals {
    fn listen() -> Result<Self, Failure> {
        let listen = |kind| signal(kind).map_err(|error| Failure::Unavailable(error.to_string()));
        let terminate = listen(SignalKind::terminate())?;
        let managed = systemd::is_there();
        let ignored = !managed && hangup_is_ignored();
        let hangup = if ignored { None } else { Some(listen(SignalKind::hangup())?) };
        Ok(Self { terminate, interrupt: listen(SignalKind::interrupt())?, hangup, managed })
    }

    async fn next(&mut self) -> Asked {
        let hangup = async {
            match &mut self.hangup {
                Some(signal) => signal.recv().await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            _ = hangup => if self.managed { Asked::Reload } else { Asked::End },
            _ = self.terminate.recv() => Asked::End,
            _ = self.interrupt.recv() => Asked::End,
        }
    }

    async fn end(&mut self) {
        while self.next().await != Asked::End {}
    }
}

/// Whether this process was started with the hangup signal ignored; to listen would undo that.
/// Known where the system shows it (proc(5), `SigIgn`).
fn hangup_is_ignored() -> bool {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let mask = status.lines().find_map(|line| line.strip_prefix("SigIgn:"));
    let mask = mask.and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok());
    // Signals count from 1, and a hangup is the first.
    mask.is_some_and(|mask| mask & 1 != 0)
}

/// Runs the command until it is told to stop.
pub(crate) fn run(args: &ServeArgs) -> Result<(), Failure> {
    let started = Stopwatch::start();
    let sources = args
        .local
        .sources()?
        .with("--listen", "server.listen", args.listen.clone())
        .with("--ldap-listen", "ldap.listen", args.ldap_listen.clone());
    let config = load(&sources)?;
    telemetry::start(&config.log);
    // Before anything else opens a file: what was handed over is known by its number.
    let sockets = Sockets::of_environment().map_err(|bad| Failure::Usage(bad.to_string()))?;
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build();
    let runtime = runtime.map_err(|error| Failure::Unavailable(error.to_string()))?;
    runtime.block_on(serve(&config, sockets, started))
}

async fn serve(config: &Config, sockets: Sockets, started: Stopwatch) -> Result<(), Failure> {
    // Before the lock, which makes a file.
    installation::refuse_foreign(config)?;
    // Held to the very end: the next server must find everything written.
    let _lock = Lock::take(&config.data.dir)?;
    let admin = ClientName::parse(FIRST_ADMIN).map_err(|bad| Failure::Usage(bad.to_string()))?;
    // Whatever the machine can refuse comes before a new installation, whose first key is shown
    // once.
    let certificates = Certificates::load(&config.server.tls)
        .map_err(|error| Failure::Refused(with_causes(&error)))?
        .map(Arc::new);
    let signals = Signals::listen()?;
    let for_ldap = ldap_certificates(config, certificates.as_ref())?;
    let bound = Bound::open(config, sockets, certificates, for_ldap).await?;
    let installation = installation::open(config, IfEmpty::Initialise(admin)).await?;
    let outcome = serve_installation(config, &installation, bound, signals, started).await;
    let closed = installation.close().await;
    if let Err(error) = &closed {
        warn!(error = %with_causes(error), "the last usage could not be stored");
    }
    info!("stopped");
    outcome.and(closed.map_err(Failure::from))
}

/// The listeners, before anything is served on them.
struct Bound {
    certificates: Option<Arc<Certificates>>,
    main: Door,
    metrics: Option<Door>,
    ldap_certificates: Option<Arc<Certificates>>,
    ldap: Vec<LdapDoor>,
}

/// The certificate of the LDAP listeners, where it is not the one of the HTTP listener.
fn ldap_certificates(
    config: &Config,
    of_http: Option<&Arc<Certificates>>,
) -> Result<Option<Arc<Certificates>>, Failure> {
    if config.ldap.tls.cert.is_none() {
        return Ok(of_http.cloned());
    }
    let own = Certificates::load(&config.ldap.tls);
    Ok(own.map_err(|error| Failure::Refused(with_causes(&error)))?.map(Arc::new))
}

impl Bound {
    async fn open(
        config: &Config,
        mut sockets: Sockets,
        certificates: Option<Arc<Certificates>>,
        ldap_certificates: Option<Arc<Certificates>>,
    ) -> Result<Self, Failure> {
        let limits = Limits::from(&config.server);
        let http = sockets.take("http");
        let main = bind(http, config.server.listen, certificates.clone(), limits.clone()).await?;
        let metrics = match config.metrics.listen {
            Some(listen) => Some(bind(sockets.take("metrics"), listen, None, limits).await?),
            None => None,
        };
        let mut ldap = Vec::new();
        if config.doors.ldap {
            let socket = sockets.take("ldap");
            ldap.push(bind_ldap(socket, config, config.ldap.listen, Start::Clear).await?);
            if let Some(listen) = config.ldap.tls_listen {
                let socket = sockets.take("ldaps");
                ldap.push(bind_ldap(socket, config, listen, Start::Tls).await?);
            }
        }
        sockets.all_taken().map_err(|bad| Failure::Usage(bad.to_string()))?;
        Ok(Self { certificates, main, metrics, ldap_certificates, ldap })
    }

    /// What is read again when its files change.
    fn all_certificates(&self) -> Vec<Arc<Certificates>> {
        let (http, ldap) = (&self.certificates, &self.ldap_certificates);
        let own = ldap.iter().filter(|ldap| !http.iter().any(|http| Arc::ptr_eq(http, ldap)));
        http.iter().chain(own).cloned().collect()
    }
}

async fn serve_installation(
    config: &Config,
    installation: &Installation,
    bound: Bound,
    signals: Signals,
    started: Stopwatch,
) -> Result<(), Failure> {
    show_first_key(config, installation)?;
    let certificates = bound.all_certificates();
    let Bound { main, metrics: metrics_door, ldap_certificates, ldap, .. } = bound;
    let bound = address(&main)?;
    let settings = app::http_settings(config, bound);
    let state = AppState::new(Arc::clone(&installation.authority), settings)
        .map_err(|error| Failure::Unavailable(error.to_string()))?;
    // Before the first question is answered: from now on the cache is not trusted by itself.
    installation.authority.follow();
    let (stopper, stop) = watch::channel(false);
    let patience = Duration::from_secs(config.server.shutdown_seconds);
    let mut doors = JoinSet::new();
    doors.spawn(main.serve(Front::new(state.clone()), stop.clone(), patience));
    let mut metrics = None;
    if let Some(door) = metrics_door {
        metrics = Some(address(&door)?);
        doors.spawn(door.serve(http::metrics_router(state.clone()), stop.clone(), patience));
    }
    let shared = ldap::Shared::new(state.clone(), app::ldap_settings(config), ldap_certificates);
    let shared = Arc::new(shared);
    let lanes = ldap::Lanes::start().map_err(|error| Failure::Unavailable(error.to_string()))?;
    let (lanes, mut ldap_urls) = (Arc::new(lanes), Vec::new());
    for door in ldap {
        let at = door.address().map_err(|error| Failure::Unavailable(error.to_string()))?;
        ldap_urls.push(format!("{}://{at}", door.scheme()));
        doors.spawn(door.serve(Arc::clone(&lanes), Arc::clone(&shared), stop.clone(), patience));
    }
    let steps = Steps::start(installation, &state, config, certificates.clone(), &stop);
    banner(config, installation, bound, metrics, &ldap_urls);
    show_first_link(config, installation, bound).await;
    let ready_after_ms = u64::try_from(started.elapsed().as_millis()).unwrap_or(u64::MAX);
    info!(listen = %bound, installation = installation.id, ready_after_ms, "ready");
    systemd::tell(Said::Ready);
    until_stopped(doors, signals, stopper, &certificates).await;
    steps.ended().await;
    Ok(())
}

async fn bind_ldap(
    handed: Option<std::net::TcpListener>,
    config: &Config,
    listen: SocketAddr,
    start: Start,
) -> Result<LdapDoor, Failure> {
    let limits = ldap::Limits {
        connections_max: config.ldap.connections_max,
        connections_per_source_max: config.ldap.connections_per_source_max,
        trusted: config.server.trusted_proxies.clone(),
    };
    if let Some(socket) = handed {
        return Ok(LdapDoor::on(taken_over(socket)?, start, limits));
    }
    LdapDoor::bind(listen, start, limits).await.map_err(|error| {
        let advice = "name another place with --ldap-listen, or set doors.ldap to false";
        Failure::Unavailable(format!("cannot serve LDAP on {listen}: {error}; {advice}"))
    })
}

/// A socket of the service manager, as this server's own would be.
fn taken_over(socket: std::net::TcpListener) -> Result<TcpListener, Failure> {
    let taken = socket.set_nonblocking(true).and_then(|()| TcpListener::from_std(socket));
    taken.map_err(|error| Failure::Unavailable(format!("a socket that was handed over: {error}")))
}

async fn bind(
    handed: Option<std::net::TcpListener>,
    listen: SocketAddr,
    certificates: Option<Arc<Certificates>>,
    limits: Limits,
) -> Result<Door, Failure> {
    if let Some(socket) = handed {
        return Ok(Door::on(taken_over(socket)?, certificates, limits));
    }
    Door::bind(listen, certificates, limits)
        .await
        .map_err(|error| Failure::Unavailable(format!("cannot listen on {listen}: {error}")))
}

fn address(door: &Door) -> Result<SocketAddr, Failure> {
    door.address().map_err(|error| Failure::Unavailable(error.to_string()))
}

/// Waits until a signal comes, then lets running requests of all doors end.
async fn until_stopped(
    mut serving: JoinSet<bool>,
    mut signals: Signals,
    stopper: watch::Sender<bool>,
    certificates: &[Arc<Certificates>],
) {
    while signals.next().await == Asked::Reload {
        systemd::tell(Said::Reloading);
        reload(certificates);
        systemd::tell(Said::Ready);
    }
    systemd::tell(Said::Stopping);
    info!("stopping: no new connections, running requests may end");
    // No receiver is left only when nothing runs any more.
    let _ = stopper.send(true);
    let ended = async {
        let mut all = true;
        while let Some(ended) = serving.join_next().await {
            all &= ended.unwrap_or(false);
        }
        all
    };
    // Who signals twice does not want to wait.
    let in_order = tokio::select! {
        all = ended => all,
        () = signals.end() => false,
    };
    if !in_order {
        warn!("some requests were cut off");
    }
}

/// Reads again what can change under a running server. The configuration cannot.
fn reload(certificates: &[Arc<Certificates>]) {
    for one in certificates {
        match one.reload() {
            Ok(()) => info!("the TLS certificate was read again"),
            Err(error) => {
                let error: &dyn std::error::Error = &error;
                warn!(error, "the TLS certificate cannot be used; the former one stays");
            }
        }
    }
}

/// Shows the first administrator's key to whoever sits there, or keeps it in a file.
fn show_first_key(config: &Config, installation: &Installation) -> Result<(), Failure> {
    let Some(key) = &installation.first_key else { return Ok(()) };
    if std::io::stdout().is_terminal() {
        print::line("This is a new installation. The key of its administrator, shown this once:");
        print::line(&format!("\n    {}\n", key.secret.reveal()));
        print::line(&format!("Use it as {}, and keep it safe.", super::remote::TOKEN_VARIABLE));
        return Ok(());
    }
    let path = write_admin_key(&config.data.dir, key).map_err(|error| {
        Failure::Refused(format!(
            "{error}; the key of the administrator is lost, `counterfoil admin recover` makes another"
        ))
    })?;
    let path = path.display();
    print::line(&format!("This is a new installation. The key of its administrator is in {path}:"));
    print::line("keep it elsewhere and delete the file.");
    Ok(())
}

/// Shows the link by which the first administrator of the console gets a password, for as long as
/// nobody has one, to whoever sits there, or keeps it in a file: what is printed elsewhere ends in
/// a journal that others read. It is good for an hour; the next start makes another one.
async fn show_first_link(config: &Config, installation: &Installation, bound: SocketAddr) {
    if !config.doors.console {
        return;
    }
    let link = match installation.authority.console_first_link().await {
        Ok(link) => link,
        Err(error) => {
            warn!(%error, "no link for the console could be made");
            return;
        }
    };
    let link = link
        .map(|(link, _)| http::console::sign_in_link_url(&config.public_url(bound), &link))
        .map(zeroize::Zeroizing::new);
    let sits_there = std::io::stdout().is_terminal();
    let kept = link.as_ref().filter(|_| !sits_there).map(|link| link.as_str());
    let file = match write_setup_link(&config.data.dir, kept) {
        Ok(file) => file,
        Err(error) => {
            warn!(%error, "the link for the console could not be kept");
            return;
        }
    };
    let Some(link) = link else { return };
    print::line("Nobody can sign in at the console yet. Whoever opens this link within an hour");
    print::line("chooses name and password of its administrator:");
    if sits_there {
        print::line(&format!("\n    {}\n", link.as_str()));
    } else {
        print::line(&format!("it is in {}, for the owner of that file alone.", file.display()));
    }
}

/// Says where everything is.
fn banner(
    config: &Config,
    installation: &Installation,
    bound: SocketAddr,
    metrics: Option<SocketAddr>,
    ldap: &[String],
) {
    let url = config.public_url(bound);
    let doors = &config.doors;
    let on = |open: bool, text: String| if open { text } else { "switched off".to_owned() };
    let metrics = metrics.map_or_else(
        || format!("{url}/metrics (with a credential)"),
        |listen| format!("http://{listen}/metrics"),
    );
    print::line(&format!(
        "Counterfoil {}, installation {}\n\
         \x20 API           {}\n\
         \x20 reference     {}\n\
         \x20 forward-auth  {}\n\
         \x20 metrics       {metrics}\n\
         \x20 console       {}\n\
         \x20 LDAP          {}\n\
         \x20 data          {}",
        env!("CARGO_PKG_VERSION"),
        installation.id,
        on(doors.api, format!("{url}/api/v1")),
        on(doors.docs, format!("{url}/api/docs")),
        on(doors.forward_auth, format!("{url}/authz/{{service}}")),
        on(doors.console, format!("{url}/")),
        on(!ldap.is_empty(), format!("{} ({})", ldap.join(", "), config.ldap.base_dn)),
        config.data.dir.display(),
    ));
}
