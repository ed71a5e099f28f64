//! The program. Everything it does stands in the library beside it, so that `fuzz/` reaches what is read there.

fn main() -> std::process::ExitCode {
    engine_server::main()
}
