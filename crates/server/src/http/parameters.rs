//! A request that changes something is refused if its query names what its route does not know.
//!
//! Who asks for a dry run where there is none, or misspells a word, means something else than the
//! change that would be made. The OpenAPI document says which parameters a route knows, so that no
//! route is forgotten; a look is left alone, since it can do no harm.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use axum::extract::{MatchedPath, Request, State};
use axum::http::{Method, Uri};
use axum::middleware::Next;
use axum::response::{IntoResponse as _, Response};
use utoipa::openapi::path::{Operation, ParameterIn};
use utoipa::openapi::{OpenApi, RefOr};

use super::problem::Problem;

/// Characters of a name that are shown to who sent it.
const SHOWN_CHARS_MAX: usize = 64;

/// The query parameters of every route that changes something.
#[derive(Debug, Default)]
pub struct Known(HashMap<Method, HashMap<String, HashSet<String>>>);

impl Known {
    /// Those that a document describes.
    pub fn of(document: &OpenApi) -> Self {
        let mut known = Self::default();
        for (path, item) in &document.paths.paths {
            for (method, operation) in [
                (Method::POST, &item.post),
                (Method::PUT, &item.put),
                (Method::PATCH, &item.patch),
                (Method::DELETE, &item.delete),
            ] {
                if let Some(operation) = operation {
                    let routes = known.0.entry(method).or_default();
                    routes.insert(path.clone(), parameters(operation));
                }
            }
        }
        known
    }

    /// What is wrong with the query of a request to the route `path`.
    fn fault(&self, method: &Method, path: &str, uri: &Uri) -> Option<Problem> {
        let routes = self.0.get(method)?;
        let known = routes.get(path);
        let is_known = |name: &str| known.is_some_and(|known| known.contains(name));
        first_unknown(uri, is_known)
    }
}

fn parameters(operation: &Operation) -> HashSet<String> {
    let all = operation.parameters.iter().flatten();
    let of_query = all.filter_map(|parameter| match parameter {
        RefOr::T(parameter) if parameter.parameter_in == ParameterIn::Query => {
            Some(parameter.name.clone())
        }
        RefOr::T(_) | RefOr::Ref(_) => None,
    });
    of_query.collect()
}

fn first_unknown(uri: &Uri, is_known: impl Fn(&str) -> bool) -> Option<Problem> {
    let query = uri.query()?;
    let mut pairs = form_urlencoded::parse(query.as_bytes());
    let (name, _) = pairs.find(|(name, _)| !is_known(name))?;
    let shown: String = name.chars().filter(|c| !c.is_control()).take(SHOWN_CHARS_MAX).collect();
    Some(Problem::invalid(shown, "is not known here"))
}

/// The same for a route that knows none.
pub(super) fn refuse_any(uri: &Uri) -> Result<(), Problem> {
    first_unknown(uri, |_| false).map_or(Ok(()), Err)
}

/// Stands before every route of the API.
pub(super) async fn refuse_unknown(
    State(known): State<Arc<Known>>,
    matched: MatchedPath,
    request: Request,
    next: Next,
) -> Response {
    match known.fault(request.method(), matched.as_str(), request.uri()) {
        Some(problem) => problem.into_response(),
        None => next.run(request).await,
    }
}
