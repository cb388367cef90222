//! The demo over the store in memory: whatever the seed and the day, it goes as it was planned.

use counterfoil_authority::authority::Settings;
use counterfoil_authority::keys::KeyRing;
use counterfoil_authority::names::ClientName;
use counterfoil_authority::secret_hash::SlowCost;
use counterfoil_authority::testing::SeededEntropy;
use counterfoil_store::MemoryStore;

use super::*;

/// The midnight before a Saturday, in seconds.
const SATURDAY: i64 = 1_800_057_600;

/// The demo of a seed that ends so many seconds after a Saturday in 2027.
async fn played(seed: u64, seconds: i64) -> Report {
    let end = Timestamp::from_seconds(SATURDAY + 300 + seconds);
    let clock = Arc::new(DemoClock::before(end));
    let shared: Arc<dyn Clock> = Arc::clone(&clock) as _;
    // Of another seed than the demo's, as that of the machine is.
    let entropy = Arc::new(SeededEntropy::new(seed + 1_000));
    let keys = KeyRing::generate(entropy.as_ref()).unwrap();
    let slow_cost = SlowCost { memory_kib: 64, passes: 1, lanes: 1 };
    let settings = Settings { slow_cost, ..Settings::default() };
    let store = Arc::new(MemoryStore::new());
    let authority = Authority::new(store, shared, entropy, keys, settings).unwrap();
    let admin = ClientName::parse("admin").unwrap();
    let first = authority.initialise(&admin).await.unwrap().unwrap();
    fill(Arc::new(authority), clock, first, (seed, end), &|_, _| {}).await.unwrap()
}

#[test]
fn the_clock_of_the_demo_never_goes_back() {
    let end = Timestamp::from_seconds(1_800_000_000);
    let clock = DemoClock::before(end);
    let begun = clock.now();
    assert!(begun < end.plus_seconds(-(DAYS - 1) * DAY_SECONDS), "{begun}");
    clock.reach(end);
    clock.reach(begun);
    assert_eq!(clock.now(), end);
}

#[tokio::test]
async fn a_demo_goes_as_planned_whatever_the_seed_and_the_hour() {
    for (seed, hours) in [(1, 0), (2, 35), (3, 86), (1, 5), (3, 24), (7, 12), (1, 143)] {
        let report = played(seed, hours * 3_600).await;
        assert_eq!(report.surprises, Vec::<String>::new(), "seed {seed}");
        let states = ["active", "revoked", "locked", "disabled", "pending", "expired", "exhausted"];
        for state in states {
            assert!(report.counts.tokens.contains_key(state), "seed {seed}: none is {state}");
        }
        assert!(report.counts.uses > 5_000, "seed {seed}: {} uses", report.counts.uses);
    }
}

#[tokio::test]
async fn the_same_seed_gives_the_same_people_and_the_same_numbers() {
    let (one, same) = (played(5, 0).await, played(5, 0).await);
    assert_eq!(format!("{:?}", one.counts), format!("{:?}", same.counts));
    let names =
        |report: &Report| report.people.iter().map(|one| one.username.clone()).collect::<Vec<_>>();
    assert_eq!(names(&one), names(&same));
}
