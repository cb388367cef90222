//! temp
#![allow(
    clippy::all,
    clippy::pedantic,
    clippy::disallowed_methods,
    clippy::allow_attributes,
    unused
)]
use counterfoil_authority::{clock::Timestamp, secret::TokenId, store::*};
use counterfoil_store::{conformance::World, *};
use std::sync::Arc;
use std::time::{Duration, Instant};
fn cpu(name: &str) -> f64 {
    let mut sum = 0.0;
    for e in std::fs::read_dir("/proc/self/task").unwrap() {
        let p = e.unwrap().path();
        let c = std::fs::read_to_string(p.join("comm")).unwrap_or_default();
        if c.trim().starts_with(name) {
            if let Ok(s) = std::fs::read_to_string(p.join("schedstat")) {
                sum += s.split_whitespace().next().unwrap().parse::<f64>().unwrap();
            }
        }
    }
    sum / 1000.0
}
fn rss() -> u64 {
    let s = std::fs::read_to_string("/proc/self/status").unwrap();
    s.lines()
        .find(|l| l.starts_with("VmRSS"))
        .unwrap()
        .split_whitespace()
        .nth(1)
        .unwrap()
        .parse::<u64>()
        .unwrap()
        / 1024
}
#[tokio::main]
async fn main() {
    let arg = |i: usize| std::env::args().nth(i).unwrap();
    let dir = std::path::PathBuf::from(arg(2));
    let o = OpenOptions {
        create: true,
        mmap_bytes: arg(3).parse::<u64>().unwrap() << 20,
        cache_bytes: arg(4).parse::<u64>().unwrap() << 20,
    };
    if arg(1) == "issue" {
        let c: usize = arg(5).parse().unwrap();
        let secs: u64 = arg(6).parse().unwrap();
        for f in ["a.db", "b.db", "w.db", "w.db-wal", "w.db-shm"] {
            let _ = std::fs::remove_file(dir.join(f));
        }
        let store = open(&DatabaseUrl::sqlite(&dir.join("w.db")), o).await.unwrap();
        let dy: Arc<dyn Store> = store.clone();
        let w = World::new(&dy, 1).await;
        store.user_insert(w.user_named("user1"), w.event("user.created")).await.unwrap();
        store.backup_to(&dir.join("a.db"), |_| ()).await.unwrap();
        let is = w.issue_to(&w.user_named("user1"));
        println!("{}", is.token.id);
        std::fs::write(dir.join("id"), is.token.id.as_str()).unwrap();
        store.token_issue(is).await.unwrap();
        store.backup_to(&dir.join("b.db"), |_| ()).await.unwrap();
        let end = Instant::now() + Duration::from_secs(secs);
        let w0 = cpu("store-writer");
        let b = store.figures();
        let t = Instant::now();
        let mut h = vec![];
        for k in 0..c {
            let s = store.clone();
            let dy = dy.clone();
            h.push(tokio::spawn(async move {
                let r = World::existing(&dy, (2 + k) as u8);
                let w = World::existing(&dy, 1);
                let u = w.user_named("user1");
                let mut lat = vec![];
                while Instant::now() < end {
                    let mut is = r.issue_to(&u);
                    is.token.realm = w.realm.clone();
                    is.event.realm = w.realm.clone();
                    let t = Instant::now();
                    assert!(matches!(s.token_issue(is).await.unwrap(), Issued::Done { .. }));
                    lat.push(t.elapsed().as_micros() as u64);
                }
                lat
            }));
        }
        let mut lat = vec![];
        for j in h {
            lat.extend(j.await.unwrap());
        }
        lat.sort();
        let a = store.figures();
        let n = lat.len();
        println!(
            "issue c={c}: {:.0}/s p50 {} p99 {} writer cpu {:.1} us/op avg batch {:.1} {a:?}",
            n as f64 / t.elapsed().as_secs_f64(),
            lat[n / 2],
            lat[n * 99 / 100],
            (cpu("store-writer") - w0) / n as f64,
            (a.operations - b.operations) as f64 / (a.commits - b.commits) as f64
        );
        return;
    }
    let n: usize = arg(5).parse().unwrap();
    let path = dir.join("r.db");
    let fresh = !path.exists();
    let store = open(&DatabaseUrl::sqlite(&path), o).await.unwrap();
    let dy: Arc<dyn Store> = store.clone();
    let mut ids: Vec<TokenId>;
    if fresh {
        let world = World::new(&dy, 1).await;
        for u in 0..1000 {
            store
                .user_insert(world.user_named(&format!("user{u}")), world.event("user.created"))
                .await
                .unwrap();
        }
        let t = Instant::now();
        let mut v = vec![];
        let w0 = cpu("store-writer");
        let k0 = cpu("store-check");
        for b in 0..n / 1000 {
            let batch: Vec<_> = (0..1000)
                .map(|i| world.issue_to(&world.user_named(&format!("user{}", (b * 7 + i) % 1000))))
                .collect();
            v.extend(batch.iter().map(|i| i.token.id));
            store.token_seed(batch).await.unwrap();
        }
        println!(
            "seed writer cpu {:.1} checkpoint cpu {:.1} wall {:.1} us/token {:?}",
            (cpu("store-writer") - w0) / n as f64,
            (cpu("store-check") - k0) / n as f64,
            t.elapsed().as_micros() as f64 / n as f64,
            store.figures()
        );
        std::fs::write(
            dir.join("ids"),
            v.iter().map(|i| i.as_str().to_owned()).collect::<Vec<_>>().join("\n"),
        )
        .unwrap();
        ids = v;
    } else {
        ids = std::fs::read_to_string(dir.join("ids"))
            .unwrap()
            .lines()
            .map(|l| TokenId::parse(l).unwrap())
            .collect();
    }
    let mut x = 88172645463325252u64;
    for i in (1..ids.len()).rev() {
        x ^= x << 13;
        x ^= x >> 7;
        x ^= x << 17;
        ids.swap(i, (x % (i as u64 + 1)) as usize);
    }
    for round in 0..3 {
        let m = 100_000.min(ids.len());
        let c0 = cpu("measure");
        let t = Instant::now();
        for id in &ids[..m] {
            let r = store.token_record(*id).await.unwrap().unwrap();
            std::hint::black_box(r);
        }
        println!(
            "record cpu {:.2} wall {:.2} us rss {}",
            (cpu("measure") - c0) / m as f64,
            t.elapsed().as_nanos() as f64 / 1000.0 / m as f64,
            rss()
        );
    }
    for (k, chunk) in [
        (70_000usize, 70_000usize),
        (70_000, 4096),
        (70_000, 70_000),
        (70_000, 4096),
        (10_000, 4096),
        (1000, 1000),
    ] {
        let k = k.min(ids.len());
        x ^= x << 13;
        x ^= x >> 7;
        x ^= x << 17;
        let off = (x as usize) % (ids.len() - k + 1);
        let mut d: Vec<_> = ids[off..off + k]
            .iter()
            .map(|id| UsageDelta {
                token: *id,
                accepted: 1,
                denied: 0,
                first_at: Some(Timestamp::from_seconds(1_800_000_000)),
                last_at: Some(Timestamp::from_seconds(1_800_000_000)),
                last_ip: Some("10.1.2.3".parse().unwrap()),
            })
            .collect();
        d.sort_by_key(|d| d.token);
        let w0 = cpu("store-writer");
        let k0 = cpu("store-check");
        let t = Instant::now();
        let mut worst = 0;
        for c in d.chunks(chunk) {
            let t = Instant::now();
            store.usage_flush(c.to_vec(), vec![], vec![]).await.unwrap();
            worst = worst.max(t.elapsed().as_micros());
        }
        println!(
            "flush {k}/{chunk}: writer cpu {:.2} checkpoint cpu {:.2} wall {:.2} us/token, worst chunk {worst} us, {:?}",
            (cpu("store-writer") - w0) / k as f64,
            (cpu("store-check") - k0) / k as f64,
            t.elapsed().as_nanos() as f64 / 1000.0 / k as f64,
            store.figures()
        );
    }
}
