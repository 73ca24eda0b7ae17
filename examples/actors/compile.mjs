// node compile.mjs [[SOURCE, TARGET], ...] [OPTION, ...], both as JSON: one process for all, because a compiler that has just started is slow.
import { main } from "assemblyscript/asc";

const [jobs, options] = process.argv.slice(2).map((text) => JSON.parse(text));
for (const [source, target] of jobs) {
    const { error } = await main([source, "--outFile", target, ...options], { stdout: process.stdout, stderr: process.stderr });
    if (error) {
        process.exitCode = 1;
        break;
    }
}
