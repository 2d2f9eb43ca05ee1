import ArgumentParser

@main
struct Tenon: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "tenon",
        abstract: "A distributed key-value store for data that must never be lost.",
        subcommands: [Serve.self, Cluster.self, Drill.self])
}
