// PromQL's functions and aggregations with one line each, for completion.
import type { Option } from './complete';

const LIST = `abs|v|absolute value
absent|v|1 when the vector is empty
absent_over_time|range|1 when the range is empty
avg|aggregation|mean over series
avg_over_time|range|mean of each series over time
bottomk|aggregation|the k smallest series
ceil|v|round up
changes|range|how often the value changed
clamp|v, min, max|keep values between two bounds
clamp_max|v, max|keep values below a bound
clamp_min|v, min|keep values above a bound
count|aggregation|number of series
count_over_time|range|samples of each series
count_values|aggregation|series counted by their value
delta|range|difference of a gauge over time
deriv|range|slope of a gauge by linear regression
exp|v|e to the power
floor|v|round down
group|aggregation|1 for every group
histogram_avg|v|mean of a native histogram
histogram_count|v|count of a native histogram
histogram_fraction|lower, upper, v|share of observations between two bounds
histogram_quantile|φ, v|quantile from buckets
histogram_sum|v|sum of a native histogram
hour|v|hour of the day, UTC
idelta|range|difference of the last two samples
increase|range|growth of a counter over the range
irate|range|per-second rate of the last two samples
label_join|v, dst, sep, src…|join labels into one
label_replace|v, dst, repl, src, regex|set a label by a regex
last_over_time|range|newest sample
ln|v|natural logarithm
log2|v|binary logarithm
log10|v|decimal logarithm
max|aggregation|largest series
max_over_time|range|largest value over time
min|aggregation|smallest series
min_over_time|range|smallest value over time
predict_linear|range, s|value in s seconds if the slope holds
present_over_time|range|1 when the range has a sample
quantile|aggregation|quantile over series
quantile_over_time|φ, range|quantile of each series over time
rate|range|per-second growth of a counter
resets|range|how often a counter restarted
round|v, to|round to a multiple
scalar|v|the value of a one-series vector
sgn|v|sign
sort|v|ascending by value
sort_desc|v|descending by value
sqrt|v|square root
stddev|aggregation|standard deviation over series
stddev_over_time|range|standard deviation over time
stdvar|aggregation|variance over series
sum|aggregation|sum over series
sum_over_time|range|sum over time
time||unix time of the step
timestamp|v|unix time of the sample
topk|aggregation|the k largest series
vector|s|a scalar as a vector`;

export const FUNCTIONS: Option[] = LIST.split('\n').map((line) => {
  const [text = '', detail = '', help = ''] = line.split('|');
  return { text, detail: detail ? `ƒ ${detail}` : 'ƒ', help };
});
