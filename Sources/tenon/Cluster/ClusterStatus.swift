import ArgumentParser
import TenonWire

struct ClusterStatus: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "status",
        abstract: "Show each node's process and what it leads.",
        discussion: """
            Exits with 1 when a node does not run or does not answer.

            EXAMPLE
              tenon cluster status --json
            """)

    @OptionGroup var folder: ClusterFolder

    @Flag(help: "Print JSON.")
    var json = false

    func run() async throws {
        try await reportingClusterErrors {
            let cluster = try LocalCluster.open(directory: folder.directory)
            let rows = try await Row.all(of: cluster)
            if json {
                print(try JSONText.encode(["nodes": rows], pretty: false))
            } else {
                print(Row.table(rows))
                for (row, node) in zip(rows, cluster.layout.nodes) {
                    if let advice = row.advice(log: cluster.logPath(of: node)) {
                        Console.note(advice)
                    }
                }
            }
            guard rows.allSatisfy(\.answers) else { throw ExitCode(1) }
        }
    }

    /// What is known of one node.
    struct Row: Encodable, Hashable {
        var name: String
        var address: String
        var pid: Int32?
        var process: ProcessState
        var answers: Bool
        var leads: Int?
        var tablets: Int?

        static func all(of cluster: LocalCluster) async throws -> [Row] {
            let statuses = try await ClusterProbe.with(cluster) { await $0.statuses() }
            return zip(cluster.layout.nodes, statuses).map { node, status in
                Row(node, process: cluster.process(of: node), status: status)
            }
        }

        init(_ node: LocalCluster.Node, process identity: ProcessIdentity?, status: NodeStatus?) {
            name = node.name
            address = node.address
            pid = identity?.pid
            process = identity?.state ?? .ended
            answers = status != nil
            leads = status?.tablets.count { $0.role == "leader" }
            tablets = status?.tablets.count
        }

        /// What to do about a node that does not answer; nil for one that does.
        func advice(log: String) -> String? {
            switch process {
            case .running where answers: nil
            case .running: "\(name) runs and does not answer: look at \(log)"
            case .paused: "\(name) is paused: `tenon cluster resume \(name)` lets it run on"
            case .ended: "\(name) does not run: `tenon cluster restart \(name)`; its log is \(log)"
            }
        }

        static func table(_ rows: [Row]) -> String {
            TextTable(
                header: ["node", "address", "pid", "process", "answers", "leads", "tablets"],
                rows: rows.map(\.cells)
            ).description
        }

        private var cells: [String] {
            [
                name, address, pid.map { String($0) } ?? "-", process.rawValue,
                answers ? "yes" : "no", leads.map { String($0) } ?? "-",
                tablets.map { String($0) } ?? "-",
            ]
        }
    }
}

/// Columns of text, the first aligned to the left, the others to the right when they are numbers.
struct TextTable: CustomStringConvertible {
    var header: [String]
    var rows: [[String]]

    var description: String {
        let lines = [header] + rows
        let widths = header.indices.map { column in
            lines.map { $0[column].count }.max() ?? 0
        }
        let areNumeric = header.indices.map(isNumeric)
        return lines.map { line in
            line.indices.map { column in
                let cell = line[column]
                let padding = String(repeating: " ", count: widths[column] - cell.count)
                return areNumeric[column] ? padding + cell : cell + padding
            }.joined(separator: "  ").trimmingTrailingSpaces
        }.joined(separator: "\n")
    }

    private func isNumeric(_ column: Int) -> Bool {
        rows.allSatisfy { row in row[column] == "-" || Double(row[column]) != nil }
    }
}

extension String {
    fileprivate var trimmingTrailingSpaces: String {
        var text = self
        while text.last == " " { text.removeLast() }
        return text
    }
}
