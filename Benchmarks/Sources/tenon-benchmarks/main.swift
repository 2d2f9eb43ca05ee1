// Micro-benchmarks of the engine: `swift run --package-path Benchmarks -c release`.
// An argument names the folder for the log's files (default: one under /var/tmp).

let folder =
    CommandLine.arguments.count > 1
    ? CommandLine.arguments[1] : "/var/tmp/tenon-benchmarks-log"
let unit = try Catalogue.copy.nanosecondsPerItem()

func line(_ name: String, _ nanoseconds: Double) -> String {
    let padding = String(repeating: " ", count: max(1, 32 - name.count))
    let tenths = (nanoseconds * 10).rounded() / 10
    let ratio = (nanoseconds / unit * 100).rounded() / 100
    return "\(name)\(padding)\(tenths) ns    \(ratio) copies of 4 KiB"
}

print(line("copy of 4 KiB", unit))
for benchmark in try Catalogue.all(folder: folder) {
    print(line(benchmark.name, try benchmark.nanosecondsPerItem()))
}
