//! GitHub's REST API as far as the program uses it, written from GitHub's own
//! description of it. It shares nothing with the program.
//!
//! It refuses what GitHub refuses: requests without a user agent or with
//! another version, what the token has no permission for, bodies that are too
//! long, more than fifty annotations at once.

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard};

use axum::Router;
use axum::body::{Body, to_bytes};
use axum::extract::{Request, State};
use axum::http::{HeaderMap, Method, Response, StatusCode};
use serde_json::{Value, json};
use tokio::net::TcpListener;

pub(crate) const TOKEN: &str = "ghs_16C7e42F292c6912E7710c838347Ae178B4a";
const LOGIN: &str = "github-actions[bot]";

/// What there is on GitHub, and what was asked of it.
#[derive(Default)]
pub(crate) struct World {
    /// What the token may do, as in a workflow's `permissions:`.
    pub(crate) permissions: Vec<&'static str>,
    pub(crate) comments: Vec<Value>,
    pub(crate) check_runs: BTreeMap<u64, Value>,
    pub(crate) repositories: BTreeMap<&'static str, Repository>,
    /// At most so many entries are on a page.
    pub(crate) page_size: usize,
    /// Answers that come before any other: method, part of the path, answer.
    pub(crate) trouble: VecDeque<(Method, &'static str, Trouble)>,
    /// What is done, though the answer says that it may not be: method, part of
    /// the path.
    pub(crate) lost: Vec<(Method, &'static str)>,
    pub(crate) requests: Vec<Asked>,
}

pub(crate) struct Repository {
    pub(crate) is_private: bool,
    pub(crate) refs: Vec<(&'static str, &'static str)>,
    pub(crate) archive: Vec<u8>,
}

#[derive(Clone)]
pub(crate) struct Trouble {
    pub(crate) status: u16,
    pub(crate) headers: Vec<(&'static str, String)>,
    pub(crate) message: &'static str,
}

/// A request that came.
#[derive(Debug, Clone)]
pub(crate) struct Asked {
    pub(crate) method: Method,
    pub(crate) path: String,
    pub(crate) body: Value,
}

pub(crate) struct GitHub {
    world: Arc<Mutex<World>>,
    /// The address of the API.
    pub(crate) url: String,
}

#[derive(Clone)]
struct Server {
    world: Arc<Mutex<World>>,
    prefix: &'static str,
    url: String,
    archives: String,
}

impl GitHub {
    /// An API below a path: empty, or `/api/v3` for an Enterprise Server.
    pub(crate) async fn start(prefix: &'static str) -> Self {
        let world = Arc::new(Mutex::new(World {
            permissions: vec!["pull-requests: write", "checks: write", "contents: read"],
            page_size: 100,
            ..World::default()
        }));
        let (archives, archives_url) = listen().await;
        let (api, host) = listen().await;
        let url = format!("{host}{prefix}");
        let server = Server {
            world: Arc::clone(&world),
            prefix,
            url: url.clone(),
            archives: archives_url,
        };
        serve(archives, Router::new().fallback(archive), server.clone());
        serve(api, Router::new().fallback(answer), server);
        Self { world, url }
    }

    pub(crate) fn world(&self) -> MutexGuard<'_, World> {
        self.world.lock().unwrap()
    }

    /// The requests that were to change something.
    pub(crate) fn changes(&self) -> Vec<Asked> {
        let mut changes = self.world().requests.clone();
        changes.retain(|asked| asked.method != Method::GET && !asked.path.ends_with("/graphql"));
        changes
    }

    pub(crate) fn trouble(&self, method: Method, path: &'static str, trouble: Trouble) {
        self.world().trouble.push_back((method, path, trouble));
    }
}

async fn listen() -> (TcpListener, String) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    (listener, url)
}

fn serve(listener: TcpListener, router: Router<Server>, server: Server) {
    tokio::spawn(async move { axum::serve(listener, router.with_state(server)).await });
}

/// The server of archives, which has no business with the token.
async fn archive(State(server): State<Server>, request: Request) -> Response<Body> {
    if request.headers().contains_key("authorization") {
        return refusal(400, "The token is not for this host");
    }
    let path = request.uri().path().trim_start_matches('/').to_owned();
    let world = server.world.lock().unwrap();
    match world.repositories.get(path.as_str()) {
        Some(repository) => Response::new(Body::from(repository.archive.clone())),
        None => refusal(404, "Not Found"),
    }
}

async fn answer(State(server): State<Server>, request: Request) -> Response<Body> {
    let (parts, body) = request.into_parts();
    let body = to_bytes(body, 1 << 20).await.unwrap();
    let path = parts.uri.path().to_owned();
    let asked = Asked {
        method: parts.method,
        path,
        body: serde_json::from_slice(&body).unwrap_or_default(),
    };
    let query = parts.uri.query().unwrap_or_default();
    let mut world = server.world.lock().unwrap();
    world.requests.push(asked.clone());
    if let Some(refusal) = unacceptable(&parts.headers) {
        return refusal;
    }
    let expected = world.trouble.front();
    if expected
        .is_some_and(|(method, part, _)| *method == asked.method && asked.path.contains(part))
    {
        let (_, _, trouble) = world.trouble.pop_front().unwrap();
        return trouble.response();
    }
    let is_known = parts.headers.contains_key("authorization");
    if server.is_graphql(&asked.path) {
        return match is_known {
            true => json_response(200, &json!({"data": {"viewer": {"login": LOGIN}}})),
            false => refusal(401, "This endpoint requires you to be authenticated."),
        };
    }
    let Some(route) = asked.path.strip_prefix(server.prefix) else {
        return not_found();
    };
    let segments: Vec<_> = route.trim_start_matches('/').split('/').collect();
    let mut call = Call {
        world: &mut world,
        server: &server,
        asked: &asked,
        is_known,
        query,
    };
    let answer = call.answer(&segments);
    let is_lost =
        |(method, part): &(Method, &str)| *method == asked.method && asked.path.contains(part);
    match world.lost.iter().position(is_lost) {
        Some(place) => {
            world.lost.remove(place);
            refusal(502, "Server Error")
        }
        None => answer,
    }
}

/// What GitHub wants of every request.
fn unacceptable(headers: &HeaderMap) -> Option<Response<Body>> {
    let header = |name: &str| headers.get(name).map(|value| value.to_str().unwrap());
    assert!(
        header("user-agent").is_some_and(|agent| agent.starts_with("alicloud-image/")),
        "{headers:?}"
    );
    assert_eq!(header("x-github-api-version"), Some("2022-11-28"));
    let accept = header("accept").unwrap();
    assert!(accept.starts_with("application/vnd.github"), "{accept}");
    let authorization = header("authorization");
    let is_good = authorization.is_none_or(|value| value == format!("Bearer {TOKEN}"));
    (!is_good).then(|| refusal(401, "Bad credentials"))
}

struct Call<'a> {
    world: &'a mut World,
    server: &'a Server,
    asked: &'a Asked,
    is_known: bool,
    query: &'a str,
}

impl Call<'_> {
    fn answer(&mut self, segments: &[&str]) -> Response<Body> {
        let method = self.asked.method.as_str();
        match (method, segments) {
            ("GET", ["repos", "acme", "images", "issues", "7", "comments"]) => self.comments(),
            ("POST", ["repos", "acme", "images", "issues", "7", "comments"]) => self.comment(),
            ("PATCH", ["repos", "acme", "images", "issues", "comments", id]) => {
                self.change_comment(id)
            }
            ("POST", ["repos", "acme", "images", "check-runs"]) => self.open_check_run(),
            ("PATCH", ["repos", "acme", "images", "check-runs", id]) => self.change_check_run(id),
            ("GET", ["repos", "acme", "images", "check-runs", id]) => {
                match self.world.check_runs.get(&id.parse().unwrap()) {
                    Some(check_run) => json_response(200, check_run),
                    None => not_found(),
                }
            }
            ("GET", ["repos", "acme", "images", "commits", commit, "check-runs"]) => {
                self.check_runs_of(commit)
            }
            ("GET", ["repos", owner, name]) => match self.repository(owner, name) {
                Some(_) => json_response(200, &json!({"full_name": format!("{owner}/{name}")})),
                None => not_found(),
            },
            ("GET", ["repos", owner, name, "commits", reference]) => {
                self.commit(owner, name, &reference.replace("%2F", "/"))
            }
            ("GET", ["repos", owner, name, "branches"]) => self.names(owner, name),
            ("GET", ["repos", _, _, "tags"]) => json_response(200, &json!([])),
            ("GET", ["repos", owner, name, "tarball", _]) => {
                let to = format!("{}/{owner}/{name}", self.server.archives);
                match self.repository(owner, name) {
                    Some(_) => response(302, &[("location", to)], ""),
                    None => not_found(),
                }
            }
            _ => not_found(),
        }
    }

    fn may(&self, permission: &str) -> bool {
        self.is_known && self.world.permissions.contains(&permission)
    }

    fn forbidden(&self) -> Response<Body> {
        refusal(403, "Resource not accessible by integration")
    }

    fn comments(&self) -> Response<Body> {
        let parameter = |name: &str| {
            let mut pairs = self
                .query
                .split('&')
                .filter_map(|pair| pair.split_once('='));
            let found = pairs.find(|(key, _)| *key == name)?.1.parse::<usize>();
            found.ok()
        };
        let size = parameter("per_page")
            .unwrap_or(30)
            .min(self.world.page_size);
        let page = parameter("page").unwrap_or(1);
        let all = &self.world.comments;
        let entries: Vec<_> = all.iter().skip((page - 1) * size).take(size).collect();
        let mut headers = Vec::new();
        if page * size < all.len() {
            let base = format!("{}/repos/acme/images/issues/7/comments", self.server.url);
            let link = |page, rel| format!("<{base}?per_page={size}&page={page}>; rel=\"{rel}\"");
            let last = all.len().div_ceil(size);
            let links = format!("{}, {}", link(page + 1, "next"), link(last, "last"));
            headers.push(("link", links));
        }
        response(200, &headers, &json!(entries).to_string())
    }

    fn comment(&mut self) -> Response<Body> {
        if !self.may("pull-requests: write") {
            return self.forbidden();
        }
        let body = self.asked.body["body"].as_str().unwrap();
        if body.chars().count() > 65_536 {
            return refusal(422, "Validation Failed");
        }
        let id = self.world.comments.len() + 1;
        let comment = json!({"id": id, "user": {"login": LOGIN, "type": "Bot"}, "body": body});
        self.world.comments.push(comment.clone());
        json_response(201, &comment)
    }

    fn change_comment(&mut self, id: &str) -> Response<Body> {
        if !self.may("pull-requests: write") {
            return self.forbidden();
        }
        let id: u64 = id.parse().unwrap();
        let mut comments = self.world.comments.iter_mut();
        let Some(comment) = comments.find(|comment| comment["id"] == id) else {
            return not_found();
        };
        comment["body"] = self.asked.body["body"].clone();
        json_response(200, comment)
    }

    fn open_check_run(&mut self) -> Response<Body> {
        if !self.may("checks: write") {
            return self.forbidden();
        }
        let body = &self.asked.body;
        assert!(body["name"].is_string() && body["head_sha"].is_string());
        let id = 4000 + self.world.check_runs.len() as u64;
        let mut check_run = body.clone();
        check_run["id"] = id.into();
        check_run["all_annotations"] = json!([]);
        self.world.check_runs.insert(id, check_run.clone());
        json_response(201, &check_run)
    }

    fn check_runs_of(&self, commit: &str) -> Response<Body> {
        let open = self.world.check_runs.values();
        assert!(self.query.contains("status=in_progress"), "{}", self.query);
        let open = open.filter(|one| one["head_sha"] == commit && one["status"] == "in_progress");
        let open: Vec<_> = open.collect();
        json_response(200, &json!({"total_count": open.len(), "check_runs": open}))
    }

    fn change_check_run(&mut self, id: &str) -> Response<Body> {
        if !self.may("checks: write") {
            return self.forbidden();
        }
        let Some(check_run) = self.world.check_runs.get_mut(&id.parse().unwrap()) else {
            return not_found();
        };
        let output = &self.asked.body["output"];
        assert!(output["title"].is_string() && output["summary"].is_string());
        let added = output["annotations"].as_array().unwrap();
        if added.len() > 50 {
            return refusal(422, "Invalid request. No more than 50 items are allowed");
        }
        let all = check_run["all_annotations"].as_array_mut().unwrap();
        all.extend(added.iter().cloned());
        for key in ["status", "conclusion", "output"] {
            if !self.asked.body[key].is_null() {
                check_run[key] = self.asked.body[key].clone();
            }
        }
        json_response(200, check_run)
    }

    /// One that the token may not read is as good as none.
    fn repository(&self, owner: &str, name: &str) -> Option<&Repository> {
        let repositories = &self.world.repositories;
        let found = repositories.get(format!("{owner}/{name}").as_str())?;
        (!found.is_private || self.may("contents: read")).then_some(found)
    }

    fn commit(&self, owner: &str, name: &str, reference: &str) -> Response<Body> {
        let Some(repository) = self.repository(owner, name) else {
            return not_found();
        };
        let mut refs = repository.refs.iter();
        match refs.find(|(name, _)| *name == reference) {
            Some((_, commit)) => response(200, &[], commit),
            None => refusal(422, "No commit found for the ref"),
        }
    }

    fn names(&self, owner: &str, name: &str) -> Response<Body> {
        let repository = self.repository(owner, name).unwrap();
        let names = repository
            .refs
            .iter()
            .map(|(name, _)| json!({"name": name}));
        json_response(200, &names.collect())
    }
}

impl Server {
    fn is_graphql(&self, path: &str) -> bool {
        match self.prefix {
            "" => path == "/graphql",
            _ => path == "/api/graphql",
        }
    }
}

impl Trouble {
    fn response(&self) -> Response<Body> {
        let body =
            json!({"message": self.message, "documentation_url": "https://docs.github.com/rest"});
        response(self.status, &self.headers, &body.to_string())
    }
}

fn not_found() -> Response<Body> {
    refusal(404, "Not Found")
}

fn refusal(status: u16, message: &'static str) -> Response<Body> {
    let trouble = Trouble {
        status,
        headers: Vec::new(),
        message,
    };
    trouble.response()
}

fn json_response(status: u16, body: &Value) -> Response<Body> {
    response(status, &[], &body.to_string())
}

fn response(status: u16, headers: &[(&'static str, String)], body: &str) -> Response<Body> {
    let mut response = Response::new(Body::from(body.to_owned()));
    *response.status_mut() = StatusCode::from_u16(status).unwrap();
    for (name, value) in headers {
        response.headers_mut().insert(*name, value.parse().unwrap());
    }
    response
}
