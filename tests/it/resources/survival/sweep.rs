//! Every call of Docker disturbed, one at a time.
//!
//! A round makes a deployment from a snapshot and with variables, changes it
//! and removes it, and each of the three is disturbed at one call. After each, the next apply must
//! put everything right. Calls of the backend go through Docker, so they are
//! among the calls.
//!
//! By default every fifth call is disturbed, each time beginning at another
//! one; with `CONVEX_TEST_SWEEP=all` every call.

use std::{
    collections::{BTreeMap, VecDeque},
    fmt::Write,
    panic::{AssertUnwindSafe, catch_unwind},
    process::Command,
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, AtomicU32, Ordering},
    },
    time::Instant,
};

use serde_json::json;
use tempfile::NamedTempFile;

use super::{objects, one_of_each};
use crate::support::{
    backend::Backend,
    docker::{Fate, Name, Proxy, docker},
    driver::{Block, Driver, Plan, deployment},
    snapshot,
};

/// How many deployments are disturbed at the same time.
const LANES: usize = 6;

/// Every which call is disturbed by default.
const STRIDE: usize = 5;

/// How long an operation may take where a call is never answered.
const HANG_LIMIT: &str = "20s";

/// What happens to a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Disturbance {
    /// Until the time of the operation is over.
    Hang,
    /// Docker answers with status 500.
    Refuse,
    /// Docker does it and the answer is lost.
    Lose,
    /// The provider is killed.
    Kill,
}

const DISTURBANCES: [Disturbance; 4] = [
    Disturbance::Hang,
    Disturbance::Refuse,
    Disturbance::Lose,
    Disturbance::Kill,
];

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Operation {
    Create,
    Update,
    Delete,
}

const OPERATIONS: [Operation; 3] = [Operation::Create, Operation::Update, Operation::Delete];

/// One life of a deployment, and the calls that are disturbed in it.
#[derive(Clone, Copy, Debug)]
struct Round {
    disturbance: Disturbance,
    /// The number of the call, by operation.
    at: [Option<usize>; 3],
}

/// How many calls each operation takes.
type Calls = [usize; 3];

/// How many points were disturbed.
type Covered = BTreeMap<(Operation, Disturbance), usize>;

/// A deployment in a round.
struct Life {
    name: Name,
    driver: Driver,
    proxy: Arc<Proxy>,
    round: Round,
    hangs: bool,
    /// What the deployment begins with.
    snapshot: NamedTempFile,
}

/// The rows of the snapshot.
const ROWS: &str = "{\"title\":\"precious\"}\n";

impl Life {
    fn new(proxy: Arc<Proxy>, round: Round) -> Self {
        proxy.calm();
        let snapshot = NamedTempFile::new().expect("a file");
        snapshot::make(snapshot.path(), "tasks", ROWS, 0);
        Self {
            snapshot,
            name: Name::new(),
            driver: Driver::new(&proxy.host()),
            proxy,
            round,
            hangs: round.disturbance == Disturbance::Hang,
        }
    }

    fn blocks(&self, version: &str) -> Vec<Block> {
        let mut arguments = json!({
            "origins": { "api": format!("https://{version}.example.com") },
            // So that another origin is another container.
            "internal_origins": false,
            "restore_from": { "snapshot": self.snapshot.path() },
        });
        let mut variables = json!({
            "deployment": self.name.as_str(),
            "variables": { "SAME": "1", "VERSION": version },
        });
        if self.hangs {
            let limit = json!({ "create": HANG_LIMIT, "update": HANG_LIMIT, "delete": HANG_LIMIT });
            arguments["timeouts"] = limit.clone();
            variables["timeouts"] = limit;
        }
        vec![
            deployment(&self.name, arguments),
            Block::new("convex_env", "app", variables),
        ]
    }

    /// Applies a plan while the call of the round is disturbed. Returns how
    /// many calls there were, and whether that one was among them.
    fn apply_disturbed(&mut self, operation: Operation, plan: Plan) -> (usize, bool) {
        let at = self.round.at[operation as usize];
        let reached = Arc::new(AtomicBool::new(false));
        self.proxy.take();
        self.proxy.disturb({
            let reached = Arc::clone(&reached);
            let process = self.driver.process();
            let disturbance = self.round.disturbance;
            move |number, _| {
                if Some(number) != at {
                    return Fate::Pass;
                }
                reached.store(true, Ordering::SeqCst);
                match disturbance {
                    Disturbance::Hang => Fate::Hang,
                    Disturbance::Refuse => Fate::Answer(500, "disturbed on purpose"),
                    Disturbance::Lose => Fate::Lose,
                    Disturbance::Kill => {
                        kill(&process);
                        Fate::Hang
                    }
                }
            }
        });
        let outcome = self.driver.try_to_apply(plan);
        self.proxy.calm();
        let reached = reached.load(Ordering::SeqCst);
        // What is not disturbed works, and who is killed cannot succeed.
        let round = self.round;
        match outcome {
            Ok(()) => assert!(
                !(reached && round.disturbance == Disturbance::Kill),
                "{operation:?} of {round:?} went on"
            ),
            Err(errors) => assert!(reached, "{operation:?} of {round:?}: {errors:#?}"),
        }
        (self.proxy.take().len(), reached)
    }

    /// Applies once more, undisturbed, after which nothing is left to do.
    fn settle(&mut self, operation: Operation, blocks: &[Block]) {
        let about = format!("after {operation:?} of {:?}", self.round);
        let plan = self.driver.try_to_plan(blocks);
        let plan = plan.unwrap_or_else(|errors| panic!("plan {about}: {errors:#?}"));
        if let Err(errors) = self.driver.try_to_apply(plan) {
            panic!("apply {about}: {errors:#?}");
        }
        let plan = self.driver.plan(blocks);
        assert!(plan.is_empty(), "{about}: {:?}", plan.actions());
    }

    fn expect_objects(&self, operation: Operation) {
        let expected = match operation {
            Operation::Delete => Vec::new(),
            _ => one_of_each(&self.name),
        };
        let objects = objects(&self.name);
        assert_eq!(objects, expected, "after {operation:?} of {:?}", self.round);
    }

    /// The key, which the backend must accept, and its variables.
    fn look(&self) -> (String, BTreeMap<String, String>) {
        let key = self.driver.text("convex_deployment.app", "admin_key");
        let backend = Backend::of(&self.name, &json!({ "admin_key": key }));
        (key, backend.variables())
    }

    /// Lives the round. Returns for each operation how many calls it took and
    /// whether it was disturbed.
    fn live(mut self) -> [(usize, bool); 3] {
        let first = self.blocks("first");
        let plan = self.driver.plan(&first);
        let created = self.apply_disturbed(Operation::Create, plan);
        if created.1 {
            self.settle(Operation::Create, &first);
        }
        self.expect_objects(Operation::Create);
        let (key, variables) = self.look();
        assert_eq!(variables["VERSION"], "first");
        let backend = Backend::of(&self.name, &json!({ "admin_key": key }));
        let about = format!("after create of {:?}", self.round);
        assert_eq!(backend.rows("tasks"), ROWS, "{about}");

        backend.set(&[("SET_BY_HAND", Some("kept"))]);
        let second = self.blocks("second");
        let plan = self.driver.plan(&second);
        let updated = self.apply_disturbed(Operation::Update, plan);
        if updated.1 {
            self.settle(Operation::Update, &second);
        }
        self.expect_objects(Operation::Update);
        let (same_key, variables) = self.look();
        let about = format!("after an update of {:?}", self.round);
        assert_eq!(same_key, key, "{about}");
        for (name, value) in [
            ("SET_BY_HAND", "kept"),
            ("VERSION", "second"),
            ("SAME", "1"),
        ] {
            assert_eq!(
                variables.get(name).map(String::as_str),
                Some(value),
                "{about}"
            );
        }
        let origin = "CONVEX_CLOUD_ORIGIN=https://second.example.com";
        let environment = docker(&[
            "inspect",
            "-f",
            "{{join .Config.Env \"\\n\"}}",
            &self.name.container("backend"),
        ]);
        assert!(environment.lines().any(|line| line == origin), "{about}");
        assert_eq!(backend.rows("tasks"), ROWS, "{about}");

        let plan = self.driver.plan(&[]);
        let deleted = self.apply_disturbed(Operation::Delete, plan);
        if deleted.1 {
            self.settle(Operation::Delete, &[]);
        }
        self.expect_objects(Operation::Delete);
        assert_eq!(self.driver.addresses(), Vec::<&str>::new());
        [created, updated, deleted]
    }
}

fn kill(process: &AtomicU32) {
    let process = process.load(Ordering::SeqCst).to_string();
    let _ = Command::new("kill").args(["-9", &process]).status();
}

/// The least calls that lives without disturbance take: waiting can take more.
fn record() -> Calls {
    let nothing = Round {
        disturbance: Disturbance::Refuse,
        at: [None; 3],
    };
    let lives = [(); 2].map(|()| Life::new(Arc::new(Proxy::start()), nothing).live());
    [0, 1, 2].map(|operation| lives[0][operation].0.min(lives[1][operation].0))
}

/// The rounds in which every `stride`th call is disturbed.
fn rounds(calls: Calls, stride: usize) -> VecDeque<Round> {
    let mut rounds = VecDeque::new();
    for (offset, disturbance) in DISTURBANCES.into_iter().enumerate() {
        let points = calls.map(|calls| {
            let points: Vec<_> = (offset % stride..calls).step_by(stride).collect();
            points
        });
        let longest = points.iter().map(Vec::len).max().unwrap_or_default();
        for index in 0..longest {
            rounds.push_back(Round {
                disturbance,
                at: [0, 1, 2].map(|operation| points[operation].get(index).copied()),
            });
        }
    }
    rounds
}

fn summary(calls: Calls, covered: &Covered) -> String {
    let mut line = String::new();
    for operation in OPERATIONS {
        let all = calls[operation as usize];
        let _ = write!(line, "; {operation:?} of {all} calls:");
        for disturbance in DISTURBANCES {
            let count = covered.get(&(operation, disturbance)).unwrap_or(&0);
            let _ = write!(line, " {disturbance:?} {count}");
        }
    }
    line
}

#[test]
fn whatever_happens_to_a_call_the_next_apply_puts_it_right() {
    let stride = match std::env::var("CONVEX_TEST_SWEEP").as_deref() {
        Ok("all") => 1,
        _ => STRIDE,
    };
    let began = Instant::now();
    let calls = record();
    let rounds = rounds(calls, stride);
    let mut expected = Covered::new();
    for round in &rounds {
        for operation in OPERATIONS {
            if round.at[operation as usize].is_some() {
                *expected.entry((operation, round.disturbance)).or_default() += 1;
            }
        }
    }
    let queue = Mutex::new(rounds);
    let covered = Mutex::new(Covered::new());
    let past_the_end = Mutex::new(Covered::new());
    let failures = AtomicU32::new(0);
    std::thread::scope(|scope| {
        for _ in 0..LANES {
            scope.spawn(|| {
                let proxy = Arc::new(Proxy::start());
                loop {
                    let next = queue.lock().expect("the queue").pop_front();
                    let Some(round) = next else { break };
                    let life = Life::new(Arc::clone(&proxy), round);
                    // One that fails says why, and the others go on.
                    let lived = catch_unwind(AssertUnwindSafe(|| life.live()));
                    let Ok(lived) = lived else {
                        failures.fetch_add(1, Ordering::SeqCst);
                        continue;
                    };
                    let mut covered = covered.lock().expect("the points");
                    let mut past = past_the_end.lock().expect("the points");
                    for operation in OPERATIONS {
                        let (calls, reached) = lived[operation as usize];
                        let counts = match round.at[operation as usize] {
                            Some(_) if reached => &mut *covered,
                            // Waiting takes a call more or less, so that there may be none
                            // of this number.
                            Some(at) if at >= calls => &mut *past,
                            _ => continue,
                        };
                        *counts.entry((operation, round.disturbance)).or_default() += 1;
                    }
                }
            });
        }
    });
    let covered = covered.into_inner().expect("the points");
    let past_the_end = past_the_end.into_inner().expect("the points");
    let points: usize = covered.values().sum();
    let all = calls.iter().sum::<usize>() * DISTURBANCES.len();
    println!(
        "measured: {points} of {all} points of create, update and delete were disturbed and put right in {} s{}",
        began.elapsed().as_secs(),
        summary(calls, &covered)
    );
    let failures = failures.into_inner();
    assert_eq!(failures, 0, "rounds failed, see above");
    let mut met = covered;
    let past: usize = past_the_end.values().sum();
    for (point, count) in past_the_end {
        *met.entry(point).or_default() += count;
    }
    assert_eq!(met, expected, "points were not reached");
    assert!(past * 20 <= points, "{past} points were past the end");
}
