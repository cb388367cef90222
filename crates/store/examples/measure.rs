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
use std::time::Instant;
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
    let n: usize = std::env::args().nth(1).unwrap().parse().unwrap();
    let mmap: u64 = std::env::args().nth(2).unwrap().parse().unwrap();
    let cache: u64 = std::env::args().nth(3).unwrap().parse().unwrap();
    let path = std::path::PathBuf::from(std::env::args().nth(4).unwrap());
    let fresh = !path.exists();
    let store = open(
        &DatabaseUrl::sqlite(&path),
        OpenOptions { create: true, mmap_bytes: mmap << 20, cache_bytes: cache << 20 },
    )
    .await
    .unwrap();
    let dy: Arc<dyn Store> = store.clone();
    let ids: Vec<TokenId>;
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
        for b in 0..n / 1000 {
            let batch: Vec<_> = (0..1000)
                .map(|i| world.issue_to(&world.user_named(&format!("user{}", (b * 7 + i) % 1000))))
                .collect();
            v.extend(batch.iter().map(|i| i.token.id));
            store.token_seed(batch).await.unwrap();
        }
        println!("seed {} us/token", t.elapsed().as_micros() as f64 / n as f64);
        std::fs::write(
            path.with_extension("ids"),
            v.iter().map(|i| i.as_str().to_owned()).collect::<Vec<_>>().join("\n"),
        )
        .unwrap();
        ids = v;
    } else {
        ids = std::fs::read_to_string(path.with_extension("ids"))
            .unwrap()
            .lines()
            .map(|l| TokenId::parse(l).unwrap())
            .collect();
    }
    println!("file {} MB rss {}", std::fs::metadata(&path).unwrap().len() >> 20, rss());
    // shuffle
    let mut ids = ids;
    let mut x = 88172645463325252u64;
    for i in (1..ids.len()).rev() {
        x ^= x << 13;
        x ^= x >> 7;
        x ^= x << 17;
        ids.swap(i, (x % (i as u64 + 1)) as usize);
    }
    for round in 0..3 {
        let m = 100_000.min(ids.len());
        let t = Instant::now();
        for id in &ids[..m] {
            let r = store.token_record(*id).await.unwrap().unwrap();
            std::hint::black_box(r);
        }
        println!(
            "record {:.2} us rss {}",
            t.elapsed().as_nanos() as f64 / 1000.0 / m as f64,
            rss()
        );
    }
    // flush
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
        let t = Instant::now();
        let mut worst = 0;
        for c in d.chunks(chunk) {
            let t = Instant::now();
            store.usage_flush(c.to_vec(), vec![], vec![]).await.unwrap();
            worst = worst.max(t.elapsed().as_micros());
        }
        println!(
            "flush {k}/{chunk}: {:.2} us/token, worst chunk {worst} us, {:?}",
            t.elapsed().as_nanos() as f64 / 1000.0 / k as f64,
            store.figures()
        );
    }
    // issue
    let world = World::existing(&dy, 1);
    for c in [1usize, 8, 64] {
        let t = Instant::now();
        let per = 20_000 / c.max(4);
        let before = store.figures();
        let mut h = vec![];
        for k in 0..c {
            let s = store.clone();
            let dy = dy.clone();
            let realm = World::existing(&dy, (2 + c + k) as u8);
            let w = World::existing(&dy, 1);
            h.push(tokio::spawn(async move {
                for i in 0..per {
                    let mut is =
                        realm.issue_to(&w.user_named(&format!("user{}", (k * 31 + i) % 1000)));
                    is.token.realm = w.realm.clone();
                    is.event.realm = w.realm.clone();
                    match s.token_issue(is).await {
                        Ok(_) => {}
                        Err(e) => println!("{e:?}"),
                    }
                }
            }));
        }
        for j in h {
            j.await.unwrap();
        }
        let a = store.figures();
        println!(
            "issue c={c}: {:.0}/s  avg batch {:.1}",
            (per * c) as f64 / t.elapsed().as_secs_f64(),
            (a.operations - before.operations) as f64 / (a.commits - before.commits) as f64
        );
    }
    println!("rss {}", rss());
}
