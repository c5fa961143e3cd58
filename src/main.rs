//! The program: which of its faces is wanted.
//!
//! It is the only reader of the environment and of arguments.

use std::{
    env,
    io::{self, IsTerminal, Write},
    path::Path,
    process::ExitCode,
};

use terraform_provider_convex::{
    convex::coder::Transition,
    external,
    plugin::{self, Launch, Refusal, ServeError},
    project::verify::{Style, verify_directory},
    provider::{Convex, Environment},
    resources::deployment::{default_backend_image, default_dashboard_image},
    runtime::{digests, docker::Surroundings, sweep},
};

const HELP: &str = "\
terraform-provider-convex: self-hosted Convex deployments for Terraform

This is a plugin. Terraform starts it by itself once a configuration names it:

    terraform {
      required_providers {
        convex = { source = \"coder-convex/convex\" }
      }
    }

Usage:
    terraform-provider-convex COMMAND [ARGUMENTS]
    terraform-provider-convex COMMAND --help
                          print the help of a command
    terraform-provider-convex --version
                          print the version
    terraform-provider-convex --help
                          print this help
    terraform-provider-convex --debug
                          serve until interrupted, and print how to point
                          Terraform at this process

Commands:
    images      print the default images
    verify      check an app and its deployment
    sweep       list or remove the objects of deployments on a Docker host
    external    answer a query of data \"external\"
";

/// A command: what runs it, unless its arguments are wrong, and what explains it.
struct Command {
    name: &'static str,
    help: &'static str,
    run: fn(&[&str]) -> Option<ExitCode>,
}

const COMMANDS: [Command; 4] = [
    Command {
        name: "images",
        help: IMAGES_HELP,
        run: images,
    },
    Command {
        name: "verify",
        help: VERIFY_HELP,
        run: verify,
    },
    Command {
        name: "sweep",
        help: SWEEP_HELP,
        run: sweep_host,
    },
    Command {
        name: "external",
        help: EXTERNAL_HELP,
        run: external,
    },
];

const IMAGES_HELP: &str = "\
Prints the images that a deployment runs by default, one per line.

Usage:
    terraform-provider-convex images
    terraform-provider-convex images --digests [IMAGE...]

Arguments:
    --digests    print each image with the digest that the Docker host has for it
    IMAGE        image to look up; default: the default images

The Docker host is the one that DOCKER_HOST or the current Docker context names.
The exit status is 0 on success, 1 if the Docker host cannot be asked, and 2 if
an argument is not known.
";

const SWEEP_HELP: &str = "\
Lists the containers, networks and volumes of all deployments on a Docker host,
or removes some of them.

Usage:
    terraform-provider-convex sweep
    terraform-provider-convex sweep --remove
    terraform-provider-convex sweep --remove NAME... [--data]

Arguments:
    --remove    remove leftovers: helper containers, and empty networks
    NAME        with --remove, remove everything of this deployment except its data
    --data      with NAME, remove its data, too

The Docker host is the one that DOCKER_HOST or the current Docker context names.
The exit status is 0 on success, 1 if the Docker host refuses or has nothing of a
deployment NAME, and 2 if the arguments are not valid.
";

const EXTERNAL_HELP: &str = "\
Answers a query of data \"external\": reads a JSON object of strings from standard
input, and prints one.

Usage:
    terraform-provider-convex external [OPERATION]

Arguments:
    OPERATION    what to derive; default: the key \"operation\" of the query

The guide \"Without the provider\" describes the operations and their keys. A query
with an unknown operation is answered with the list of operations. The exit status
is 0 on success, 1 if the query cannot be answered, and 2 if the arguments are not
valid.
";

const VERIFY_HELP: &str = "\
Checks the app in DIR and the deployment that its env files name, and says what
to do. Changes nothing.

Usage:
    terraform-provider-convex verify [DIR] [--json]

Arguments:
    DIR       directory of the app; default: the current directory
    --json    print a JSON object in place of a table

Reads DIR and no file outside it. CONVEX_SELF_HOSTED_URL and
CONVEX_SELF_HOSTED_ADMIN_KEY of the environment come before those of
.env.convex.local. The admin key is not sent to a URL of the file if it is of the
environment, nor without TLS to another machine, nor to another instance than
the one in the key. If the Docker host that DOCKER_HOST or the current context
names runs the backend, the issuer of tokens is asked from inside its container.

Each check is \"ok\", \"FAIL\" with what to do below it, or \"-\" where it cannot be
told. The exit status is 0 if no check failed, 1 if one failed, and 2 if DIR
cannot be read or an argument is not known.
";

/// Code of these crates is heard in the log.
const LOGGED: &[&str] = &[env!("CARGO_CRATE_NAME")];

fn main() -> ExitCode {
    let arguments: Vec<_> = env::args().skip(1).collect();
    let arguments: Vec<_> = arguments.iter().map(String::as_str).collect();
    match arguments[..] {
        [] => serve(),
        ["--version" | "-V"] => say(&mut io::stdout(), concat!(env!("CARGO_PKG_VERSION"), "\n")),
        ["--help" | "-h"] => say(&mut io::stdout(), HELP),
        ["--debug"] => {
            let launch = Launch::for_debugging(|name| env::var_os(name));
            run(launch, true)
        }
        [name, ref rest @ ..] => match COMMANDS.iter().find(|it| it.name == name) {
            Some(command) if rest.iter().any(|it| ["--help", "-h"].contains(it)) => {
                say(&mut io::stdout(), command.help)
            }
            Some(command) => {
                (command.run)(rest).unwrap_or_else(|| refuse(&arguments, command.help))
            }
            None => refuse(&arguments, HELP),
        },
    }
}

fn refuse(arguments: &[&str], help: &str) -> ExitCode {
    let invalid = format!("Invalid arguments: {}\n\n{help}", arguments.join(" "));
    say(&mut io::stderr(), &invalid);
    ExitCode::from(2)
}

/// Answers one query of `data "external"`.
fn external(arguments: &[&str]) -> Option<ExitCode> {
    let operation = match *arguments {
        [] => None,
        [operation] if !operation.starts_with('-') => Some(operation),
        _ => return None,
    };
    let input = io::stdin();
    let transition = Transition::read(env::var(Transition::VARIABLE).ok().as_deref());
    let answer = if input.is_terminal() {
        // Nobody would know what it waits for.
        external::answer(operation, io::empty(), transition)
    } else {
        external::answer(operation, input.lock(), transition)
    };
    Some(match answer {
        Ok(result) => say(&mut io::stdout(), result.expose()),
        Err(failure) => {
            let name = "terraform-provider-convex external";
            say(&mut io::stderr(), &format!("{name}: {failure}\n"));
            ExitCode::FAILURE
        }
    })
}

/// Prints the images that are run by default, or images with the digests that the Docker host knows.
fn images(arguments: &[&str]) -> Option<ExitCode> {
    let default = [default_backend_image(), default_dashboard_image()];
    let images = match arguments {
        [] => return Some(say(&mut io::stdout(), &(default.join("\n") + "\n"))),
        ["--digests"] => default.to_vec(),
        ["--digests", images @ ..] if images.iter().all(|it| !it.starts_with('-')) => {
            images.iter().map(|it| (*it).to_owned()).collect()
        }
        _ => return None,
    };
    let around = Surroundings::read(|name| env::var_os(name));
    Some(report(block_on(digests::digests(&images, &around))))
}

/// Tidies up a Docker host.
fn sweep_host(arguments: &[&str]) -> Option<ExitCode> {
    let (flags, names): (Vec<&str>, Vec<&str>) =
        arguments.iter().partition(|it| it.starts_with('-'));
    let request = sweep::Request {
        removes: flags.contains(&"--remove"),
        with_data: flags.contains(&"--data"),
        deployments: names.into_iter().map(str::to_owned).collect(),
    };
    let known = flags.iter().all(|it| ["--remove", "--data"].contains(it));
    let names_without_removal = !request.removes && !request.deployments.is_empty();
    let data_of_all = request.with_data && request.deployments.is_empty();
    if !known || names_without_removal || data_of_all {
        return None;
    }
    let around = Surroundings::read(|name| env::var_os(name));
    Some(report(block_on(sweep::sweep(&request, &around))))
}

/// Runs something that goes out and comes back once.
fn block_on<T, E: std::error::Error>(
    work: impl Future<Output = Result<T, E>>,
) -> Result<T, String> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|error| error.to_string())?;
    runtime.block_on(work).map_err(|error| error.to_string())
}

/// Says what came of it.
fn report(outcome: Result<String, String>) -> ExitCode {
    match outcome {
        Ok(text) => say(&mut io::stdout(), &text),
        Err(error) => {
            say(&mut io::stderr(), &format!("{error}\n"));
            ExitCode::FAILURE
        }
    }
}

/// Goes through the checklist for a directory.
fn verify(arguments: &[&str]) -> Option<ExitCode> {
    let (flags, directories): (Vec<&str>, Vec<&str>) =
        arguments.iter().partition(|it| it.starts_with('-'));
    if flags.iter().any(|flag| *flag != "--json") || directories.len() > 1 {
        return None;
    }
    let directory = Path::new(directories.first().copied().unwrap_or("."));
    let environment = |name: &str| env::var(name).ok();
    let report = match block_on(verify_directory(directory, environment)) {
        Ok(report) => report,
        Err(error) => {
            say(&mut io::stderr(), &format!("{error}\n"));
            return Some(ExitCode::from(2));
        }
    };
    let text = if flags.is_empty() {
        let coloured = io::stdout().is_terminal() && env::var_os("NO_COLOR").is_none();
        report.table(if coloured {
            Style::Coloured
        } else {
            Style::Plain
        })
    } else {
        report.json()
    };
    let said = say(&mut io::stdout(), &text);
    Some(if report.passed() {
        said
    } else {
        ExitCode::FAILURE
    })
}

fn serve() -> ExitCode {
    match Launch::from_environment(|name| env::var_os(name)) {
        Ok(launch) => run(launch, false),
        Err(refusal) => {
            let help = match refusal {
                Refusal::NotStartedByTerraform => HELP,
                Refusal::ProtocolMismatch(_) => "",
            };
            say(&mut io::stderr(), &format!("{refusal}\n\n{help}"));
            ExitCode::FAILURE
        }
    }
}

fn run(launch: Launch, debugging: bool) -> ExitCode {
    plugin::install_log(launch.log_level, LOGGED);
    let provider = Convex::new(Environment::read(|name| env::var_os(name)));
    match serve_with(provider, launch, debugging) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            tracing::error!(%error, "the plugin failed");
            say(&mut io::stderr(), &format!("{error}\n"));
            ExitCode::FAILURE
        }
    }
}

fn serve_with(provider: Convex, launch: Launch, debugging: bool) -> Result<(), ServeError> {
    // Operations nest deeply, and without optimisation each level takes much of a stack. What is
    // not used of it takes no memory.
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .thread_stack_size(8 << 20)
        .enable_all()
        .build()?;
    let served = runtime.block_on(async {
        if debugging {
            plugin::serve_for_debugging(provider, launch, Convex::ADDRESS).await
        } else {
            plugin::serve(provider, launch).await
        }
    });
    // Whatever still hangs must not keep the process alive.
    runtime.shutdown_background();
    served
}

fn say(to: &mut impl Write, text: &str) -> ExitCode {
    match to.write_all(text.as_bytes()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(_) => ExitCode::FAILURE,
    }
}
