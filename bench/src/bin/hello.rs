//! The rival of every HTTP case: axum on tokio that answers 100 bytes of JSON
//! and does nothing else. What it costs is what any answer costs.

use std::net::{Ipv4Addr, SocketAddr};

use anyhow::{Context, Result};
use axum::Router;
use axum::http::header::CONTENT_TYPE;
use axum::serve::ListenerExt;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// Exactly 100 bytes, so that results of different days compare.
const ANSWER: &str = "{\"active\":true,\"token_id\":\"000000000000\",\
                      \"username\":\"somebody\",\"service\":\"bench\",\"note\":\"100 bytes\"}";

const _: () = assert!(ANSWER.len() == 100, "results of different days would not compare");

#[tokio::main]
async fn main() -> Result<()> {
    let port = std::env::args().nth(1).context("usage: hello PORT")?.parse()?;
    // Any method and path, so that it can be sent the very bytes its rival gets.
    let hello = Router::new().fallback(|| async { ([(CONTENT_TYPE, "application/json")], ANSWER) });
    let listener = tokio::net::TcpListener::bind(SocketAddr::from((Ipv4Addr::LOCALHOST, port)))
        .await?
        // A socket that cannot be set is about to fail anyway.
        .tap_io(|stream| drop(stream.set_nodelay(true)));
    axum::serve(listener, hello).await?;
    Ok(())
}
