import ArgumentParser
import TenonClient
import TenonCore
import TenonWire

/// `tenon explain`: the proof of a keyspace's policy.
struct Explain: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Show what a keyspace survives, and what a commit waits for.",
        discussion: """
            For each tablet: its voters, every loss up to what the keyspace is to survive with the
            voters that would be left and the majority that is needed, what is not survived, and the
            measured round trip that completes a majority. Computed from where the voters are now
            and from which nodes answer. Exits with 1 when the keyspace is AT RISK: something that
            it is to survive it would not.

            EXAMPLE
              tenon explain accounts --json
            """)

    @OptionGroup var connection: ConnectionOptions
    @Flag(help: "Print it as JSON.")
    var json = false
    @Argument(help: "A keyspace's name.")
    var keyspace: String

    func run() async throws {
        try await connection.withClient(defaultTimeout: .seconds(2)) { client in
            let directory = try await client.describe()
            guard let keyspace = directory.keyspace(named: keyspace) else {
                let names = directory.keyspaces.map(\.name).joined(separator: ", ")
                throw TenonError(
                    .invalid, .notApplied, "there is no keyspace \(keyspace); there are \(names)")
            }
            let report = try await StatusReport(asking: client)
            let down = report.nodes.filter { $0.status == nil }.map(\.node.id)
            let led = directory.led(as: report.nodes.map(\.status))
            let missing = MissingReplicas(directory, report.nodes.compactMap(\.status))
            let explanation = Explanation(
                keyspace, in: led, down: Set(down), missing: missing
            ) { leader in
                let peers = report.nodes.first { $0.node.id == leader }?.status?.peers ?? []
                return Dictionary(
                    peers.map { ($0.node, $0.roundTripMicroseconds) },
                    uniquingKeysWith: { one, _ in one })
            }
            print(json ? explanation.json.text : explanation.text)
            if !explanation.risks.isEmpty { throw Exit.negative }
        }
    }
}
