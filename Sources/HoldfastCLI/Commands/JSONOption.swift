import ArgumentParser
import Glibc

struct JSONOption: ParsableArguments {
  @Flag(help: "Print JSON, including errors.") var json = false
}
