import ArgumentParser
import Foundation
import TenonClient
import TenonCore

struct Put: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Set the value of a key.",
        discussion: """
            Prints the version it was written at. Exits with 1 when a condition does not hold, \
            and with 3 when it is not known whether the value was written.

            EXAMPLES
              tenon put alice 100
              tenon put alice 90 --if-value 100
              gzip -c notes | base64 -w0 | tenon put bm90ZXM= - --base64
            """)

    @OptionGroup var options: KeyspaceOptions
    @OptionGroup var form: ByteForm
    @OptionGroup var condition: ConditionOptions
    @Flag(help: "Print the answer as JSON.")
    var json = false
    @Argument(help: "The key.")
    var key: String
    @Argument(help: "The value; - reads it from standard input, to its end.")
    var value: String

    func run() async throws {
        let key = try form.bytes(of: key, "key")
        let condition = try condition.condition(form)
        try await options.withKeyspace { keyspace in
            let value = try value == "-" ? standardInput() : form.bytes(of: value, "value")
            try await printing(json: json) {
                let written = try await keyspace.write(key, value, if: condition)
                return (AnswerJSON.written(written), "version \(written.value)")
            }
        }
    }

    private func standardInput() throws -> Bytes {
        // One byte more than a value may have, so that what is too long is seen.
        let data = try FileHandle.standardInput.read(upToCount: inputBytesMax) ?? Data()
        guard data.count < inputBytesMax else {
            throw InputError("the value is over \(Limits.valueBytesMax) B")
        }
        guard let text = String(data: data, encoding: .utf8) else {
            throw InputError("the value is not UTF-8; give it in base64 and say --base64")
        }
        return try form.isBase64
            ? form.bytes(of: text.filter { !$0.isWhitespace }, "value") : Bytes(text)
    }

    private var inputBytesMax: Int { Limits.valueBytesMax * (form.isBase64 ? 2 : 1) + 1 }
}

/// The conditions of a put or a delete.
struct ConditionOptions: ParsableArguments {
    @Flag(help: "Only if the key has no value.")
    var ifAbsent = false
    @Option(help: ArgumentHelp("Only if the value was written at this version.", valueName: "n"))
    var ifVersion: UInt64?
    @Option(help: ArgumentHelp("Only if this is the value.", valueName: "value"))
    var ifValue: String?

    func validate() throws {
        let given = [ifAbsent, ifVersion != nil, ifValue != nil].count { $0 }
        guard given <= 1 else {
            throw ValidationError("Give one of --if-absent, --if-version and --if-value.")
        }
    }

    /// The one that was given.
    func condition(_ form: ByteForm) throws -> Condition {
        if ifAbsent { return .absent }
        if let ifVersion { return .version(Version(ifVersion)) }
        if let ifValue { return .value(try form.bytes(of: ifValue, "value of --if-value")) }
        return .none
    }
}

/// How keys and values stand on the command line and in what is printed.
struct ByteForm: ParsableArguments {
    @Flag(name: .customLong("base64"), help: "Keys and values are in base64, also in the output.")
    var isBase64 = false

    /// The bytes that an argument gives.
    func bytes(of text: String, _ what: String) throws -> Bytes {
        guard isBase64 else { return Bytes(text) }
        guard let bytes = Base64.decode(text) else {
            throw ValidationError("The \(what) is not base64.")
        }
        return bytes
    }

    /// What is printed for bytes.
    func text(of bytes: Bytes, _ what: String) throws(InputError) -> String {
        if isBase64 { return Base64.encode(bytes) }
        guard let text = bytes.utf8Text else {
            throw InputError("the \(what) is not UTF-8; use --base64 or --json")
        }
        return text
    }
}
