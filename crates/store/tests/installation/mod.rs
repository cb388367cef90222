//! An installation to be copied, and what tests of copies ask of it.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use counterfoil_authority::authority::{Authority, FirstKey, Settings};
use counterfoil_authority::caller::RequestContext;
use counterfoil_authority::clock::{Clock, Entropy, Timestamp};
use counterfoil_authority::keys::KeyRing;
use counterfoil_authority::names::ClientName;
use counterfoil_authority::secret::ClearSecret;
use counterfoil_authority::secret_hash::SlowCost;
use counterfoil_authority::store::{InstallationStore, Store};
use counterfoil_authority::testing::{FrozenClock, SeededEntropy};
use counterfoil_authority::verdict::Door;
use counterfoil_store::conformance::World;
use counterfoil_store::copy::{self, Copied, CopyError, CopyOptions, CopyProgress, Side};
use counterfoil_store::{DatabaseUrl, OpenOptions, SqlStore, open};
use tokio::sync::Notify;

/// When all tests take place.
pub(crate) fn now() -> Timestamp {
    Timestamp::from_seconds(1_790_000_000)
}

/// A copy of what nobody serves.
pub(crate) fn options() -> CopyOptions {
    CopyOptions {
        now: now(),
        source_is_locked: true,
        batch_rows: CopyOptions::BATCH_ROWS,
        jitter: 7,
    }
}

/// For who does not look at the progress.
pub(crate) fn quiet(_: CopyProgress) {}

/// The keys that every test shares.
pub(crate) fn keys() -> KeyRing {
    KeyRing::generate(&SeededEntropy::new(1)).unwrap()
}

/// The rules over a store, with the keys that every test shares, and chance of `seed`.
pub(crate) fn authority(store: &Arc<SqlStore>, seed: u64) -> Authority {
    let entropy: Arc<dyn Entropy> = Arc::new(SeededEntropy::new(seed));
    let slow_cost = SlowCost { memory_kib: 64, passes: 1, lanes: 1 };
    let settings = Settings { slow_cost, ..Settings::default() };
    let clock: Arc<dyn Clock> = Arc::new(FrozenClock::at(now()));
    Authority::new(Arc::clone(store) as _, clock, entropy, keys(), settings).unwrap()
}

/// Makes a small installation with rows in most tables; the key of its administrator.
pub(crate) async fn installation(url: &DatabaseUrl, admin: &str) -> FirstKey {
    let store = open(url, OpenOptions::default()).await.unwrap();
    // Another name is another installation.
    let seed = admin.bytes().map(u64::from).sum();
    let authority = authority(&store, seed);
    let key = authority.initialise(&ClientName::parse(admin).unwrap()).await.unwrap();
    let shared: Arc<dyn Store> = Arc::clone(&store) as _;
    let world = World::new(&shared, 1).await;
    for name in ["alice", "bob", "carol"] {
        let user = world.user(name).await;
        for _ in 0..4 {
            world.token_of(&user).await;
        }
    }
    store.ping().await.unwrap();
    store.close().await;
    key.unwrap()
}

/// Whether an administrator's key is good.
pub(crate) async fn is_good(url: &DatabaseUrl, key: &FirstKey) -> bool {
    good(url, std::slice::from_ref(&key.secret)).await == 1
}

/// How many secrets are good.
pub(crate) async fn good(url: &DatabaseUrl, secrets: &[ClearSecret]) -> usize {
    let store = open(url, OpenOptions::default()).await.unwrap();
    let authority = authority(&store, 2);
    let mut good = 0;
    for secret in secrets {
        let context = RequestContext { door: Door::Api, source: None, request_id: None };
        good += usize::from(authority.authenticate(secret.reveal(), context).await.is_ok());
    }
    store.close().await;
    good
}

/// Every row of every table, in the order of the keys, with whatever columns there are.
pub(crate) fn dump(path: &Path) -> BTreeMap<&'static str, Vec<String>> {
    let raw = rusqlite::Connection::open(path).unwrap();
    let mut tables = BTreeMap::new();
    for (table, columns, key) in copy::copied_columns() {
        let order = columns[..key].join(", ");
        let mut statement =
            raw.prepare(&format!("select * from {table} order by {order}")).unwrap();
        let count = statement.column_count();
        let row = |row: &rusqlite::Row<'_>| {
            let values = (0..count).map(|place| row.get::<_, rusqlite::types::Value>(place));
            Ok(format!("{:?}", values.collect::<Result<Vec<_>, _>>()?))
        };
        let rows = statement.query_map([], row).unwrap().map(Result::unwrap).collect();
        tables.insert(table, rows);
    }
    tables
}

/// Whether it is there and no longer marked as unfinished.
async fn is_whole(database: &DatabaseUrl) -> bool {
    let there = OpenOptions { create: false, ..OpenOptions::default() };
    match open(database, there).await {
        Ok(store) => store.close().await,
        Err(_) => return false,
    }
    true
}

/// How a copy that may be cut off ended.
pub(crate) enum End {
    /// It was stopped.
    CutOff,
    /// It came to its end.
    Whole(Copied),
    /// The one before was stopped while its last commit was on its way, so nothing was left to do.
    WholeBefore,
}

/// Copies, and stops in the middle of what comes after `steps` steps.
pub(crate) async fn cut_off(
    from: &DatabaseUrl,
    to: &DatabaseUrl,
    options: CopyOptions,
    steps: u32,
) -> End {
    let (enough, taken) = (Notify::new(), AtomicU32::new(0));
    let step = |_| {
        if taken.fetch_add(1, Ordering::Relaxed) == steps {
            enough.notify_one();
        }
    };
    tokio::select! {
        biased;
        () = enough.notified() => End::CutOff,
        done = copy::copy(from, to, options, step) => match done {
            // A commit of the run before, which was on its way when that was stopped, took the
            // mark away under this one: it stops, and the next one finds everything there.
            Err(CopyError::Unavailable { side: Side::Target, source, .. })
                if format!("{source:?}").contains("OtherSchema") => End::CutOff,
            // Whoever asked compares both sides row by row.
            Err(CopyError::NotEmpty { .. }) if is_whole(to).await => End::WholeBefore,
            done => End::Whole(done.unwrap()),
        },
    }
}
