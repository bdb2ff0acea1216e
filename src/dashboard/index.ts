// The page to look at a store and act on it: what `millrace/dashboard` exports.
export { type AccessOptions, type Authorize } from './access.ts';
export { Dashboard, dashboard, type DashboardOptions } from './dashboard.ts';
