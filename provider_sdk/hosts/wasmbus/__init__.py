"""wasmCloud 0.x hosts ("wasmbus"): OTP 0.50-0.63 and Rust 0.78-0.82."""
