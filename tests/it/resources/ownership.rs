//! Two configurations, and two resources, with one name.

use std::{process::Command, thread};

use proptest::strategy::{Strategy, ValueTree};
use serde_json::Value as Json;

use super::{config, configure, deployment, number, runner};
use crate::support::{
    docker::{Name, docker},
    on_each_core,
    terraform::{Core, Outcome, Project},
};

const REFUSED: &str = "The deployment belongs to another configuration";

fn project(core: Core, name: &Name, attributes: &str) -> Project {
    Project::new(core, &config(&deployment(name, attributes)))
}

fn with_data(name: &Name) {
    docker(&[
        "exec",
        &name.container("backend"),
        "touch",
        "/convex/data/mine",
    ]);
}

fn has_data(name: &Name) -> bool {
    let data = ["exec", &name.container("backend"), "ls", "/convex/data"];
    docker(&data).lines().any(|it| it == "mine")
}

on_each_core! {
    fn a_deployment_of_another_configuration_is_left_alone(core) {
        let name = Name::new();
        let first = project(core, &name, "");
        first.apply().ok();
        with_data(&name);
        let second = project(core, &name, "");
        let place = first.path().display().to_string();
        second.apply().fails_with(&[REFUSED, &place, "terraform import ADDRESS", "on_conflict"]);
        assert_eq!(second.find_state("convex_deployment.app"), None);
        second.destroy().ok();
        first.assert_no_changes();
        assert!(has_data(&name));

        // Taken over on purpose, it is the second's to change and to delete, and no longer the first's.
        configure(&second, &deployment(&name, "on_conflict = \"adopt\""));
        second.apply().ok().says(&["Existing data taken over"]);
        second.assert_no_changes();
        configure(&first, &deployment(&name, "labels = { a = \"1\" }"));
        first.apply().fails_with(&["Another configuration has taken the deployment over", &second.path().display().to_string()]);
        first.destroy().ok().says(&["The deployment is left to its new owner"]);
        assert!(has_data(&name));
        second.assert_no_changes();
        second.destroy().ok();
        assert_eq!(name.objects(), Vec::<String>::new());
    }
}

on_each_core! {
    fn data_without_containers_goes_to_whoever_comes(core) {
        let name = Name::new();
        let first = project(core, &name, "");
        first.apply().ok();
        let key = first.state("convex_deployment.app")["instance_secret"].clone();
        configure(&first, &deployment(&name, "running = false"));
        first.apply().ok();
        let second = project(core, &name, "");
        second.apply().ok().says(&["Existing data taken over"]);
        assert_eq!(second.state("convex_deployment.app")["instance_secret"], key);
        first.destroy().ok().says(&["The deployment is left to its new owner"]);
        second.assert_no_changes();
        second.destroy().ok();
        assert_eq!(name.objects(), Vec::<String>::new());
    }
}

#[test]
fn data_with_another_secret_is_not_gone_on_with_in_silence() {
    let name = Name::new();
    let project = project(Core::Installed, &name, "");
    project.apply().ok();
    let other = "echo $(printf '%064d' 7) > /convex/data/credentials/instance_secret";
    docker(&["exec", &name.container("backend"), "sh", "-c", other]);
    let said = ["The volume has another instance secret", "rotate_trigger"];
    project.plan().ok().says(&said);
    configure(&project, &deployment(&name, "labels = { a = \"1\" }"));
    project.apply().fails_with(&said);
    // Also where nothing runs that could be looked into beforehand.
    for role in ["dashboard", "backend"] {
        docker(&["rm", "-f", &name.container(role)]);
    }
    project.apply().fails_with(&said);
    configure(&project, &deployment(&name, "rotate_trigger = \"1\""));
    project.apply().ok();
    project.assert_no_changes();
    project.destroy().ok();
}

on_each_core! {
    fn two_resources_with_one_name_are_refused_by_the_plan(core) {
        let name = Name::new();
        let block = deployment(&name, "");
        let twice = block.replacen('{', "{\n  count = 2", 1);
        let project = Project::new(core, &config(&twice));
        let refused = ["Two deployments with one name", "count.index"];
        project.plan().fails_with(&refused);
        // Also where one of them is there.
        configure(&project, &block.replacen('{', "{\n  count = 1", 1));
        project.apply().ok();
        project.assert_no_changes();
        configure(&project, &twice);
        project.plan().fails_with(&refused);
        configure(&project, &block.replacen('{', "{\n  count = 1", 1));
        project.assert_no_changes();
        project.destroy().ok();
    }
}

on_each_core! {
    fn a_plan_says_what_a_replacement_does_to_the_data(core) {
        let name = Name::new();
        let project = project(core, &name, "");
        project.apply().ok();
        let replace = ["plan", "-no-color", "-input=false", "-replace=convex_deployment.app"];
        let volume = name.volume();
        project.run(&replace).fails_with(&["deletes its data", &volume, "allow_data_loss"]);
        configure(&project, &deployment(&name, "allow_data_loss = true"));
        project.run(&replace).ok().says(&["Data loss is allowed"]);
        configure(&project, &deployment(&name, ""));
        project.run(&["taint", "convex_deployment.app"]).ok();
        project.plan().ok().says(&["is deleted", &volume]);
        project.run(&["untaint", "convex_deployment.app"]).ok();
        configure(&project, &deployment(&name, "volume = { on_destroy = \"retain\" }"));
        project.apply().ok();
        project.run(&replace).ok();
        project.run(&["taint", "convex_deployment.app"]).ok();
        project.plan().ok().says(&["is made anew", "The data stays in the volume"]);
        project.destroy().ok();
        docker(&["volume", "rm", &volume]);
    }
}

on_each_core! {
    fn what_is_created_before_the_old_one_is_destroyed_stays(core) {
        let name = Name::new();
        let project = project(core, &name, "allow_data_loss = true\nlifecycle {\n create_before_destroy = true\n}");
        project.apply().ok();
        with_data(&name);
        let replace = ["apply", "-no-color", "-input=false", "-auto-approve", "-replace=convex_deployment.app"];
        project.run(&replace).ok().says(&["The deployment is left to its new owner"]);
        assert!(has_data(&name));
        project.assert_no_changes();
        project.destroy().ok();
        assert_eq!(name.objects(), Vec::<String>::new());
    }
}

on_each_core! {
    fn a_create_that_fails_early_leaves_nothing_behind(core) {
        let name = Name::new();
        let database = "database = { url = \"postgres://u:p@127.0.0.1:1\", create = true }";
        let project = project(core, &name, database);
        project.apply().fails_with(&["No database server at this port"]);
        let next = project.plan().ok();
        assert!(!next.text().contains("its data is lost"), "{}", next.text());
        project.destroy().ok();
        assert_eq!(name.objects(), Vec::<String>::new());
    }
}

/// What a configuration does in a race.
#[derive(Clone, Copy, Debug)]
enum Turn {
    Apply,
    Change,
    Destroy,
}

/// A configuration in a race, with its own wish for the data.
struct Racer<'a> {
    project: Project,
    name: &'a Name,
    fate: &'static str,
}

impl<'a> Racer<'a> {
    fn new(name: &'a Name, fate: &'static str) -> Self {
        let it = Self {
            project: Project::new(Core::Installed, &config("")),
            name,
            fate,
        };
        it.configure("");
        it
    }

    fn configure(&self, label: &str) {
        let fate = self.fate;
        let attributes =
            format!("volume = {{ on_destroy = {fate:?} }}\nlabels = {{ round = {label:?} }}");
        configure(&self.project, &deployment(self.name, &attributes));
    }

    fn take(&self, turn: Turn, round: usize) -> Outcome {
        match turn {
            Turn::Apply => self.project.apply(),
            Turn::Change => {
                self.configure(&round.to_string());
                self.project.apply()
            }
            Turn::Destroy => self.project.destroy(),
        }
    }

    fn owns(&self, holder: &str) -> bool {
        let state = self.project.find_state("convex_deployment.app");
        state.is_some_and(|state| state["owner_id"] == holder)
    }
}

/// The identity in the record of the volume.
fn holder(name: &Name) -> Option<String> {
    let record = "/convex/data/credentials/deployment.json";
    let cat = Command::new("docker")
        .args(["exec", &name.container("backend"), "cat", record])
        .output()
        .expect("docker");
    let record: Json = serde_json::from_slice(&cat.stdout).ok()?;
    Some(record["owner"]["id"].as_str()?.to_owned())
}

/// With `CONVEX_TEST_RACES=50` there are as many as that.
#[test]
fn of_two_configurations_in_a_race_only_the_owner_deletes_data() {
    let rounds = number("CONVEX_TEST_RACES", 6);
    let seed = number("CONVEX_TEST_SEED", 1);
    println!("CONVEX_TEST_SEED={seed}");
    let mut runner = runner(seed);
    let turn =
        proptest::sample::select(vec![Turn::Apply, Turn::Apply, Turn::Change, Turn::Destroy]);
    let name = Name::new();
    let racers = ["delete", "retain"].map(|fate| Racer::new(&name, fate));
    let (mut refused, mut kept) = (0, 0);
    for round in 0..rounds {
        let turns = (turn.clone(), turn.clone());
        let (one, two) = turns.new_tree(&mut runner).expect("turns").current();
        let before = holder(&name);
        if before.is_some() {
            with_data(&name);
        }
        let deletes =
            matches!(one, Turn::Destroy) && before.as_ref().is_some_and(|it| racers[0].owns(it));
        let [first, second] = thread::scope(|scope| {
            let first = scope.spawn(|| racers[0].take(one, round));
            let second = racers[1].take(two, round);
            [first.join().expect("an outcome"), second]
        });
        let place = format!("round {round}, {one:?} beside {two:?}");
        for (outcome, other) in [(&first, &racers[1]), (&second, &racers[0])] {
            let said = outcome.text().replace(['\n', '\u{2502}', ' '], "");
            let winner = other.project.path().display().to_string();
            if outcome.code != 0 {
                refused += 1;
                assert!(said.contains(&winner), "{place}: {}", outcome.text());
            }
        }
        // Data goes by its owner's hand alone.
        if before.is_some() && !deletes {
            kept += 1;
            let objects = name.objects();
            let runs = objects.contains(&format!("container {}", name.container("backend")));
            assert!(
                objects.contains(&format!("volume {}", name.volume()))
                    && (!runs || has_data(&name)),
                "{place}: {}\n{}",
                first.text(),
                second.text()
            );
        }
    }
    println!(
        "measured: {rounds} races of two configurations for one name: {refused} lost and heard who has it, data was kept {kept} times"
    );
    for racer in &racers {
        racer.project.destroy().ok();
    }
}
