//! Does what the build of RocksDB will do: has bindgen read a header, hence with the libclang that bindgen finds and loads, and with the
//! standard headers that this libclang finds. Prints libclang's version; where it cannot be done, the reason, with exit code 1.

use std::process::ExitCode;

/// What RocksDB's C interface includes, and a declaration that needs it.
const HEADER: &str = "
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
bool tributary_probe(size_t, uint64_t, va_list);
";

fn main() -> ExitCode {
    // Bindgen panics where there is no libclang.
    std::panic::set_hook(Box::new(|panic| eprintln!("{}", panic.payload_as_str().unwrap_or("bindgen failed").trim())));
    let read = std::panic::catch_unwind(|| {
        let bindings = bindgen::Builder::default().header_contents("probe.h", HEADER).generate()?;
        Ok::<_, bindgen::BindgenError>((bindings.to_string(), bindgen::clang_version().full))
    });
    match read {
        Ok(Ok((bindings, version))) if bindings.contains("fn tributary_probe") => {
            println!("{version}");
            ExitCode::SUCCESS
        }
        Ok(Ok((_, version))) => {
            eprintln!("{version} read a header and lost its declaration");
            ExitCode::FAILURE
        }
        // The compiler's own words were printed by libclang.
        Ok(Err(_)) | Err(_) => ExitCode::FAILURE,
    }
}
