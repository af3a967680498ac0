// Time and random numbers for the modules here, in one place, so that a run can be recorded.
export {
  op_web_clock as elapsed,
  op_web_clock_origin as origin,
  op_web_random as fillRandom,
} from "ext:core/ops";
