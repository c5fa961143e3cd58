//! A provider that is killed in the middle of things.

use std::{
    thread,
    time::{Duration, Instant},
};

use proptest::strategy::{Strategy, ValueTree};

use super::{config, configure, deployment, number, runner};
use crate::support::{
    docker::{Name, docker},
    processes::kill_provider,
    terraform::{Core, Outcome, Project},
};

#[derive(Clone, Copy, Debug)]
enum Operation {
    Create,
    Change,
    Destroy,
}

const OPERATIONS: [Operation; 3] = [Operation::Create, Operation::Change, Operation::Destroy];

struct Life {
    name: Name,
    project: Project,
    mark: String,
}

impl Life {
    fn new() -> Self {
        let name = Name::new();
        let mut project = Project::new(Core::Installed, &config(""));
        let mark = format!("MARK_{}", name.as_str());
        project.set_env(&mark, "1");
        Self {
            name,
            project,
            mark,
        }
    }

    fn configure(&self, value: &str) {
        let env = format!(
            "backend = {{ image = {:?}, env = {{ A = {value:?} }} }}",
            crate::support::docker::images().backend
        );
        let blocks = format!(
            "{}resource \"convex_env\" \"app\" {{\n  deployment = convex_deployment.app.id\n  variables  = {{ A = {value:?} }}\n}}\n",
            deployment(&self.name, &env)
        );
        configure(&self.project, &blocks);
    }

    /// Begins the operation, and kills the provider after this time.
    fn begin(&self, operation: Operation, kill_after: Option<Duration>) -> Outcome {
        thread::scope(|scope| {
            let run = scope.spawn(|| match operation {
                Operation::Destroy => self.project.destroy(),
                _ => self.project.apply(),
            });
            if let Some(wait) = kill_after {
                thread::sleep(wait);
                // Between two processes of the provider, the next one is killed.
                while !kill_provider(&self.mark) && !run.is_finished() {
                    thread::sleep(Duration::from_millis(1));
                }
            }
            run.join().expect("Terraform runs")
        })
    }

    /// What is there once the operation has come to its end.
    fn check(&self, operation: Operation) {
        let Self { name, project, .. } = self;
        let mut objects = name.objects();
        if let Operation::Destroy = operation {
            assert_eq!(objects, Vec::<String>::new());
            return;
        }
        project.assert_no_changes();
        objects.sort();
        let expected = [
            format!("container {}", name.container("backend")),
            format!("container {}", name.container("dashboard")),
            format!("network {}", name.as_str()),
            format!("volume {}", name.volume()),
        ];
        assert_eq!(objects, expected);
        let key = project.state("convex_deployment.app")["admin_key"].clone();
        let header = format!("Authorization: Convex {}", key.as_str().expect("a key"));
        let url = "http://127.0.0.1:3210/api/check_admin_key";
        let backend = name.container("backend");
        docker(&["exec", &backend, "curl", "-sSf", "-H", &header, url]);
        if let Operation::Create = operation {
            docker(&["exec", &backend, "touch", "/convex/data/mine"]);
        }
        docker(&["exec", &backend, "test", "-e", "/convex/data/mine"]);
    }
}

/// With `CONVEX_TEST_KILLS=34` there are as many as that, at other moments with another
/// `CONVEX_TEST_SEED`.
#[test]
fn a_provider_killed_at_any_moment_is_put_right_by_one_run() {
    let kills = number("CONVEX_TEST_KILLS", 6);
    let seed = number("CONVEX_TEST_SEED", 1);
    println!("CONVEX_TEST_SEED={seed}");
    let mut runner = runner(seed);
    let life = Life::new();
    let usual = OPERATIONS.map(|operation| {
        life.configure(&format!("{operation:?}"));
        let began = Instant::now();
        life.begin(operation, None).ok();
        let took = began.elapsed();
        life.check(operation);
        took
    });
    let mut hits = 0;
    for kill in 0..kills {
        let operation = OPERATIONS[kill % 3];
        let part = (0.0f64..1.0)
            .new_tree(&mut runner)
            .expect("a part")
            .current();
        let moment = usual[kill % 3].mul_f64(part);
        life.configure(&kill.to_string());
        let outcome = life.begin(operation, Some(moment));
        hits += usize::from(outcome.code != 0);
        println!(
            "{operation:?} killed after {moment:.1?}: exit code {}",
            outcome.code
        );
        life.begin(operation, None).ok();
        life.check(operation);
    }
    println!(
        "measured: of {kills} kills of the provider at random moments {hits} failed the run, and one run put each right"
    );
    assert!(
        hits * 2 >= kills,
        "the provider was hit {hits} times of {kills}"
    );
    life.project.destroy().ok();
}
