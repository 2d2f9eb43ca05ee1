import ArgumentParser
import Foundation

@main
struct Tenon: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "tenon",
        abstract: "A distributed key-value store for data that must never be lost.",
        discussion: """
            Client commands find the cluster by --endpoints or TENON_ENDPOINTS.

            Exit codes: 0 done, 1 a negative answer (missing key, condition not met), \
            2 not applied, 3 outcome unknown, 64 usage.

            EXAMPLE
              export TENON_ENDPOINTS=127.0.0.1:7501,127.0.0.1:7502,127.0.0.1:7503
              tenon put alice 100 --if-absent && tenon get alice
            """,
        subcommands: subcommands)

    /// In the order of `--help`.
    private static let subcommands: [any ParsableCommand.Type] = [
        Put.self, Get.self, Delete.self, ScanCommand.self,
        Import.self, Export.self, Pipe.self,
        Status.self, Verify.self, Bench.self,
        NodeCommand.self, KeyspaceCommand.self, TabletCommand.self, TopologyCommand.self,
        Explain.self,
        Serve.self, Cluster.self, Drill.self, RecoverCommand.self, ClockCommand.self,
    ]

    static func main() async {
        // A reader that goes away ends us by EPIPE, where we can clean up.
        signal(SIGPIPE, SIG_IGN)
        if let place = firstArgumentThatIsNotText() {
            Console.error("argument \(place) is not UTF-8; use --base64")
            Foundation.exit(Exit.usage.rawValue)
        }
        await main(nil)
    }

    /// Swift repairs arguments that are not UTF-8 without a word: a key would change under us.
    private static func firstArgumentThatIsNotText() -> Int? {
        for place in 0..<Int(CommandLine.argc) {
            guard let argument = unsafe CommandLine.unsafeArgv[place] else { continue }
            if unsafe String(validatingCString: argument) == nil { return place }
        }
        return nil
    }
}
