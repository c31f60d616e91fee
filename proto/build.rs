//! Compiles the `.proto` files without `protoc`.

use std::error::Error;

fn main() -> Result<(), Box<dyn Error>> {
    const FILES: [&str; 4] = ["event", "identity", "attributor", "output"];
    println!("cargo:rerun-if-changed=tributary");
    let paths: Vec<String> = FILES.iter().map(|name| format!("tributary/v1/{name}.proto")).collect();
    let descriptors = protox::compile(&paths, ["."])?;
    prost_build::Config::new().compile_fds(descriptors)?;
    Ok(())
}
