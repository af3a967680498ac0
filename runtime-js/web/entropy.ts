// Clock and chance for the modules here, in one place, so that what a run saw of them can be recorded.
export {
  op_web_clock as elapsed,
  op_web_clock_origin as origin,
  op_web_random as fillRandom,
} from "ext:core/ops";
