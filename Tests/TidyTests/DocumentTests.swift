import Foundation
import Testing

@Suite("Documents")
struct DocumentTests {
    private let tree = SourceTree.current

    private var documents: [String] {
        tree.files(under: "Docs", suffix: ".md")
            + ["README.md", "CONTRIBUTING.md", "CHANGELOG.md"]
    }

    @Test("Every document that is linked to is there")
    func links() throws {
        for document in documents {
            let text = try #require(tree.text(of: document), "\(document) is missing")
            let folder = document.split(separator: "/").dropLast().joined(separator: "/")
            for match in text.matches(of: /\]\(([^)#:\s]+)(?:#[^)]*)?\)/) {
                let path = folder.isEmpty ? String(match.1) : "\(folder)/\(match.1)"
                if !tree.exists(path) { Issue.record("\(document) links to \(match.1)") }
            }
        }
    }

    @Test("A row of the plan that works names a test, a drill or a script that exists")
    func planRows() throws {
        let text = try #require(tree.text(of: "Docs/Plan.md"))
        let rows = PlanLedger.rows(in: text)
        #expect(rows.count > 60, "only \(rows.count) rows were understood")
        let evidence = Evidence(tree: tree)
        for row in rows {
            switch row.state {
            case .notYet: break
            case .works(let proofs):
                if proofs.isEmpty { Issue.record("\(row.id) works, but nothing shows it") }
                for proof in proofs where !evidence.exists(proof) {
                    Issue.record("\(row.id) names \(proof), which does not exist")
                }
            case .unclear(let text): Issue.record("\(row.id) has the state \"\(text)\"")
            }
        }
    }

    @Test("A row's state is read, and a proof that does not exist is found")
    func planRule() {
        let text = """
            | ID | Source | State |
            |---|---|---|
            | A1 | plan | works since 0.1: `ImportTests`, drill `leader-kill` |
            | B-2 | plan | in part since 0.1: `NoSuchTests`; not: rooms |
            | C3 | plan | not yet |
            | D4 | plan | perhaps |
            """
        let rows = PlanLedger.rows(in: text)
        #expect(rows.map(\.id) == ["A1", "B-2", "C3", "D4"])
        #expect(rows[0].state == .works(proofs: ["ImportTests", "leader-kill"]))
        #expect(rows[1].state == .works(proofs: ["NoSuchTests"]))
        #expect(rows[2].state == .notYet)
        #expect(rows[3].state == .unclear("perhaps"))
        let evidence = Evidence(tree: tree)
        #expect(evidence.exists("ImportTests"))
        #expect(evidence.exists("leader-kill"))
        #expect(!evidence.exists("NoSuchTests"))
    }
}

/// The table of Docs/Plan.md.
enum PlanLedger {
    enum State: Equatable {
        /// Works, or a named part of it does; what shows it stands in backticks.
        case works(proofs: [String])
        case notYet
        case unclear(String)
    }

    struct Row: Equatable {
        var id: String
        var state: State
    }

    /// Rows whose first cell is a requirement's id; the last cell is the state.
    static func rows(in text: String) -> [Row] {
        text.split(separator: "\n").compactMap { line in
            guard line.hasPrefix("|"), line.hasSuffix("|") else { return nil }
            let cells = line.dropFirst().dropLast().split(
                separator: "|", omittingEmptySubsequences: false
            ).map { $0.trimmingCharacters(in: .whitespaces) }
            guard let id = cells.first, id.wholeMatch(of: /[A-J]-?\d+/) != nil,
                let state = cells.last
            else { return nil }
            return Row(id: id, state: parse(state))
        }
    }

    private static func parse(_ cell: String) -> State {
        if cell.hasPrefix("not yet") { return .notYet }
        guard cell.hasPrefix("works since ") || cell.hasPrefix("in part since ") else {
            return .unclear(cell)
        }
        return .works(proofs: cell.matches(of: /`([^`]+)`/).map { String($0.1) })
    }
}

/// What can show that something works: test suites, drills, scripts.
struct Evidence {
    private let suites: Set<String>
    private let tree: SourceTree

    init(tree: SourceTree) {
        self.tree = tree
        let declaration = /\b(?:struct|class|enum|actor|extension) (\w+)/
        suites = Set(
            SourceTree.tests.flatMap { file in
                file.code.filter { $0.contains(" ") && !$0.hasPrefix("        ") }.compactMap {
                    $0.firstMatch(of: declaration).map { String($0.1) }
                }
            })
    }

    func exists(_ name: String) -> Bool {
        suites.contains(name) || tree.exists("deploy/drills/" + name) || tree.exists(name)
    }
}
