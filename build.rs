//! Generates the gRPC code from `proto/`, without `protoc`.

fn main() -> Result<(), Box<dyn std::error::Error>> {
    println!("cargo::rerun-if-changed=proto");
    let files = protox::compile(["tfplugin6.proto", "goplugin.proto"], ["proto"])?;
    tonic_prost_build::configure()
        // A call that a newer Terraform knows and this provider does not is
        // answered UNIMPLEMENTED, as the protocol asks.
        .generate_default_stubs(true)
        .compile_fds(files)?;
    Ok(())
}
