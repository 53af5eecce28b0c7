"""The shared data sets: where they are, how to unpack them, what DuckDB makes of them, what is asked of them."""

import copy
import csv
import lzma
import os
import pathlib
import struct
import subprocess
from dataclasses import dataclass

import aq
from judge import Query, instant


def shared_folder():
    """The folder of shared data, or None on a machine that has only this repository."""
    named = os.environ.get("AQSTORE_DATA")
    candidates = [pathlib.Path(named)] if named else [aq.PROJECT / up / "shared/data" for up in ("..", "../..")]
    return next((path.resolve() for path in candidates if path.is_dir()), None)


@dataclass
class DataSet:
    name: str
    config: str
    dataset: str
    source: str  # file in the shared folder
    pattern: str  # members of it, once unpacked
    select: str  # DuckDB's reading; {files} is a list of paths
    columns: tuple  # (name, DuckDB type) in the order of `select` and of the config
    rows: int
    queries: tuple = ()
    sample: str = None  # the repository's own copy, below samples/
    part: int = None  # files enough for the short run; None: all

    @property
    def config_file(self):
        return aq.CONFIGS / self.config

    def truth(self, files):
        """SELECT of the input's rows as DuckDB reads them."""
        names = ", ".join(name for name, _ in self.columns)
        select = self.select.format(files=[str(path) for path in files])
        return f"SELECT * FROM ({select}) AS input({names})"

    def exported(self, file):
        """SELECT of an export's rows."""
        types = "{" + ", ".join(f"'{name}': '{kind}'" for name, kind in self.columns) + "}"
        if file.suffix == ".parquet":
            return f"SELECT * FROM read_parquet('{file}')"
        if file.suffix == ".ndjson":
            return f"SELECT * FROM read_json('{file}', format='newline_delimited', columns={types})"
        return (
            f"SELECT * FROM read_csv('{file}', header=true, nullstr='', allow_quoted_nulls=false, "
            f"auto_detect=false, delim=',', quote='\"', escape='\"', columns={types})"
        )


def unpack(source, folder):
    """Unpack a tar or decompress a file of the shared folder into `folder`."""
    folder.mkdir(parents=True, exist_ok=True)
    path = shared_folder() / source
    if ".tar" in source:
        subprocess.run(["tar", "-xf", path, "-C", folder], check=True)
    elif path.suffix == ".xz":
        (folder / path.stem).write_bytes(lzma.decompress(path.read_bytes()))
    else:
        (folder / path.name).write_bytes(path.read_bytes())
    return folder


def sample(data_set, folder):
    """Unpack the repository's own copy of a set, if it has one; gives the folder or None."""
    path = aq.PROJECT / "samples" / data_set.sample if data_set.sample else None
    if path is None or not path.exists():
        return None
    data = lzma.decompress(path.read_bytes())
    if data_set is not BEIJING:
        (folder / path.stem).write_bytes(data)
        return folder
    header, *lines = data.splitlines(keepends=True)
    for station in {line.split(b",")[-1] for line in lines}:  # a file each, as their publisher has it
        name = station.strip().strip(b'"').decode()
        own = [line for line in lines if line.endswith(station)]
        (folder / f"PRSA_Data_{name}.csv").write_bytes(b"".join([header, *own]))
    return folder


CSV = "read_csv({files}, all_varchar=true, header=true, delim=',', quote='\"'"

BEIJING_NUMBERS = ("PM2.5", "PM10", "SO2", "NO2", "CO", "O3", "TEMP", "PRES", "DEWP", "RAIN")
BEIJING = DataSet(
    name="beijing",
    config="beijing.yaml",
    dataset="air",
    source="beijing-multisite-air-quality-2013-2017.tar.xz",
    pattern="**/PRSA_Data_*.csv",
    sample="air-quality/beijing-2013-2017.csv.xz",
    rows=420768,
    columns=(
        ("station", "VARCHAR"),
        ("ts", "TIMESTAMPTZ"),
        ("reading", "BIGINT"),
        ("pm25", "DOUBLE"),
        ("pm10", "DOUBLE"),
        ("so2", "DOUBLE"),
        ("no2", "DOUBLE"),
        ("co", "INTEGER"),
        ("o3", "DOUBLE"),
        ("temp", "DOUBLE"),
        ("pres", "DOUBLE"),
        ("dewp", "DOUBLE"),
        ("rain", "DOUBLE"),
        ("wd", "VARCHAR"),
        ("wspm", "DOUBLE"),
    ),
    select=(
        'SELECT station, make_timestamp("year"::BIGINT, "month"::BIGINT, "day"::BIGINT, "hour"::BIGINT, 0, 0)'
        " AT TIME ZONE 'Asia/Shanghai' AS ts, \"No\"::BIGINT AS reading, "
        + ", ".join(f'"{name}"::DOUBLE' if name != "CO" else '"CO"::INTEGER' for name in BEIJING_NUMBERS)
        + ', wd, "WSPM"::DOUBLE FROM '
        + CSV
        + ", nullstr='NA')"
    ),
    queries=(
        Query(
            "counts",
            "SELECT station, count(*) AS n, count(pm25) AS n_pm25, count(wd) AS n_wd, count(DISTINCT wd) AS winds,"
            " count(DISTINCT date_trunc('day', ts)) AS days FROM air GROUP BY station ORDER BY station",
        ),
        Query(
            "min_max",
            "SELECT station, min(temp) AS temp_min, max(temp) AS temp_max, min(pm25) AS pm_min, max(pm25) AS pm_max,"
            " min(co) AS co_min, max(co) AS co_max, min(ts) AS ts_min, max(ts) AS ts_max, min(wd) AS wd_min,"
            " max(wd) AS wd_max FROM air GROUP BY 1 ORDER BY 1",
        ),
        Query(
            "whole_table",
            "SELECT count(*) AS n, count(o3) AS n_o3, sum(reading) AS readings, sum(pm25) AS pm_sum,"
            " avg(pm25) AS pm_avg,"
            " stddev(pm25) AS pm_dev, min(pres) AS pres_min, max(pres) AS pres_max, sum(co) AS co_sum,"
            " avg(co) AS co_avg"
            " /*scales*/ FROM air",
            {"pm_sum": "sum(abs(pm25))", "pm_avg": "max(abs(pm25))", "pm_dev": "max(abs(pm25))",
             "co_avg": "max(abs(co))"},
        ),
        Query(
            "avg_month",
            "SELECT station, date_trunc('month', ts) AS month, avg(pm25) AS pm_avg, stddev(temp) AS temp_dev,"
            " stddev_pop(dewp) AS dewp_dev, avg(co) AS co_avg /*scales*/ FROM air"
            " WHERE ts >= '2014-01-01 00:00:00+08' AND ts < '2015-01-01 00:00:00+08' GROUP BY 1, 2 ORDER BY 1, 2",
            {"pm_avg": "max(abs(pm25))", "temp_dev": "max(abs(temp))", "dewp_dev": "max(abs(dewp))",
             "co_avg": "max(abs(co))"},
            "Asia/Shanghai",
        ),
        Query(
            "sum_wind",
            "SELECT coalesce(wd, 'none') AS wind, sum(rain) AS rain, sum(temp) AS temp, sum(wspm * 3.6) AS kmh,"
            " sum(co) AS co, sum(reading) AS readings /*scales*/ FROM air GROUP BY 1 ORDER BY 1",
            {"rain": "sum(abs(rain))", "temp": "sum(abs(temp))", "kmh": "sum(abs(wspm * 3.6))"},
        ),
        Query(
            "first_last",
            "SELECT station, first(pm25, ts) AS pm_first, last(pm25, ts) AS pm_last, last(wd, ts) AS wd_last,"
            " first(wd, ts) AS wd_first, last(temp, ts) AS temp_last FROM air GROUP BY station ORDER BY station",
        ),
        Query(
            "hour_of_day",
            "SELECT extract(hour FROM ts) AS hour, count(o3) AS n, avg(o3) AS o3_avg, max(o3) AS o3_max,"
            " avg(temp) AS temp_avg /*scales*/ FROM air WHERE station IN ('Dongsi', 'Tiantan') GROUP BY 1 ORDER BY 1",
            {"o3_avg": "max(abs(o3))", "temp_avg": "max(abs(temp))"},
            "Asia/Shanghai",
        ),
        Query(
            "thresholds",
            "SELECT extract(year FROM ts) AS year, count(*) FILTER (WHERE pm25 > 15) AS above_15,"
            " count(*) FILTER (WHERE pm25 > 35) AS above_35, count(*) FILTER (WHERE pm25 > 75) AS above_75,"
            " sum(CASE WHEN pm25 > 150 THEN 1 ELSE 0 END) AS above_150,"
            " count(CASE WHEN pm25 <= 15 THEN 1 END) AS clean FROM air GROUP BY 1 ORDER BY 1",
            timezone="Asia/Shanghai",
        ),
        Query(
            "nulls",
            "SELECT wd IS NULL AS calm, pm25 IS NULL AND pm10 IS NULL AS dusty, count(*) AS n, sum(pm25) AS pm_sum,"
            " count(coalesce(pm25, pm10, so2)) AS some, avg(nullif(rain, 0)) AS rain_avg,"
            " max(no2) FILTER (WHERE no2 > 100000) AS never, count(*) FILTER (WHERE co IS DISTINCT FROM 300) AS not_300"
            " /*scales*/ FROM air GROUP BY 1, 2 ORDER BY 1, 2",
            {"pm_sum": "sum(abs(pm25))", "rain_avg": "max(abs(rain))"},
        ),
        Query(
            "top",
            "SELECT station, ts, pm25, wd FROM air WHERE pm25 IS NOT NULL"
            " ORDER BY pm25 DESC, station, ts LIMIT 25",
        ),
        Query(
            "top_nulls_first",
            "SELECT station, ts, o3, so2 FROM air WHERE ts >= '2016-12-01 00:00:00+00'"
            " ORDER BY o3 DESC, so2 NULLS FIRST, ts, station LIMIT 40 OFFSET 3",
        ),
        Query(
            "buckets",
            "SELECT time_bucket('6 hours', ts) AS bucket, station, max(pm25) AS worst, count(pm25) AS n FROM air"
            " WHERE ts BETWEEN '2015-12-01 00:00:00+00' AND '2015-12-31 23:00:00+00' AND station LIKE '%an%'"
            " GROUP BY 1, 2 HAVING count(pm25) >= 5 AND max(pm25) > 200 ORDER BY 1, 2",
        ),
        Query(
            "expressions",
            "SELECT upper(station) AS name, length(station) AS size, substr(station, 2, 3) AS part,"
            " reading % 7 AS remainder, reading / 1000 AS thousands, abs(temp) AS temp_abs, floor(temp) AS temp_floor,"
            " ceil(temp) AS temp_ceil, temp * 9 / 5 + 32 AS fahrenheit, pm25 >= 35 OR pm25 IS NULL AS bad,"
            " station || '/' || coalesce(wd, '?') AS label, greatest(pm25, pm10) AS most, least(so2, no2, o3) AS least"
            " FROM air WHERE reading BETWEEN 5000 AND 5010 AND NOT station = 'Gucheng' ORDER BY station, reading",
        ),
        Query(
            "distinct",
            "SELECT DISTINCT station, wd FROM air WHERE wspm > 6.5 ORDER BY station DESC, wd",
        ),
    ),
)

HANOI = DataSet(
    name="hanoi",
    config="hanoi.yaml",
    dataset="hanoi",
    source="hanoi-us-embassy-pm25-2016-2020.tar.xz",
    pattern="**/Hanoi_PM2.5_*.csv",
    rows=32892,
    columns=(
        ("site", "VARCHAR"),
        ("ts", "TIMESTAMPTZ"),
        ("parameter", "VARCHAR"),
        ("nowcast", "DOUBLE"),
        ("aqi", "INTEGER"),
        ("category", "VARCHAR"),
        ("raw", "DOUBLE"),
        ("unit", "VARCHAR"),
        ("duration", "VARCHAR"),
        ("qc", "VARCHAR"),
    ),
    select=(
        "SELECT \"Site\" AS site, strptime(\"Date (LT)\", '%Y-%m-%d %I:%M %p') AT TIME ZONE 'Asia/Ho_Chi_Minh' AS ts,"
        ' "Parameter" AS parameter, nullif("NowCast Conc.", \'-999.0\')::DOUBLE AS nowcast,'
        " nullif(\"AQI\", '-999')::INTEGER AS aqi, nullif(\"AQI Category\", 'N/A') AS category,"
        " nullif(\"Raw Conc.\", '-999.0')::DOUBLE AS raw, \"Conc. Unit\" AS unit, \"Duration\" AS duration,"
        ' "QC Name" AS qc FROM ' + CSV + ")"
    ),
    queries=(
        Query(
            "quality",
            "SELECT qc, category, count(*) AS n, count(raw) AS n_raw, min(raw) AS raw_min, max(raw) AS raw_max,"
            " sum(aqi) AS aqi_sum FROM hanoi GROUP BY 1, 2 ORDER BY 1, 2",
        ),
        Query(
            "local_days",
            "SELECT date_trunc('day', ts) AS day, count(*) AS n, avg(nowcast) AS pm_avg, max(aqi) AS worst /*scales*/"
            " FROM hanoi WHERE qc = 'Valid' GROUP BY 1 HAVING count(*) > 20 ORDER BY pm_avg DESC, 1 LIMIT 30",
            {"pm_avg": "max(abs(nowcast))"},
            "Asia/Ho_Chi_Minh",
        ),
        Query(
            "hours",
            "SELECT extract(hour FROM ts) AS hour, avg(raw) AS raw_avg, stddev(raw) AS raw_dev,"
            " count(DISTINCT aqi) AS aqis"
            " /*scales*/ FROM hanoi GROUP BY 1 ORDER BY 1",
            {"raw_avg": "max(abs(raw))", "raw_dev": "max(abs(raw))"},
            "Asia/Ho_Chi_Minh",
        ),
        Query(
            "duplicates",
            "SELECT ts, count(*) AS n, min(raw) AS raw_min, max(raw) AS raw_max FROM hanoi GROUP BY ts"
            " HAVING count(*) > 1 ORDER BY ts LIMIT 50",
        ),
        Query(
            "years",
            "SELECT extract(year FROM ts) AS year, sum(nowcast) AS total, first(nowcast, ts) AS pm_first,"
            " max(ts) AS newest /*scales*/ FROM hanoi WHERE raw IS NOT NULL GROUP BY 1 ORDER BY 1",
            {"total": "sum(abs(nowcast))"},
        ),
    ),
)

BUCHAREST = DataSet(
    name="bucharest",
    config="bucharest.yaml",
    dataset="bucharest",
    source="bucharest-sensor-feed-2025.tar.xz",
    pattern="**/statii*.csv",
    rows=3792259,
    part=10,
    columns=(("field", "VARCHAR"), ("ts", "TIMESTAMPTZ"), ("sensor", "BIGINT"), ("value", "DOUBLE")),
    select="SELECT field, time::TIMESTAMPTZ AS ts, id::BIGINT AS sensor, value::DOUBLE AS value FROM " + CSV + ")",
    queries=(
        Query(
            "fields",
            "SELECT field, count(*) AS n, count(DISTINCT sensor) AS sensors, min(value) AS lowest,"
            " max(value) AS highest,"
            " sum(value) AS total, avg(value) AS mean, stddev(value) AS spread /*scales*/ FROM bucharest GROUP BY 1"
            " ORDER BY 1",
            {"total": "sum(abs(value))", "mean": "max(abs(value))", "spread": "max(abs(value))"},
        ),
        Query(
            "hot_days",
            "SELECT time_bucket('1 day', ts) AS day, max(value) AS hottest,"
            " count(*) FILTER (WHERE value > 30) AS above_30"
            " FROM bucharest WHERE field = 'met.t' AND value BETWEEN -40 AND 60 GROUP BY 1 ORDER BY 1",
        ),
        Query(
            "outliers",
            "SELECT field, sensor, ts, value FROM bucharest WHERE value > 100000 OR value < -10"
            " ORDER BY value DESC, field, sensor, ts LIMIT 30",
        ),
        Query(
            "sensors",
            "SELECT sensor, sum(value) AS total, count(*) AS n, min(ts) AS oldest, max(ts) AS newest /*scales*/"
            " FROM bucharest WHERE field IN ('pm25', 'pm10') AND sensor % 5 = 0 GROUP BY sensor ORDER BY sensor",
            {"total": "sum(abs(value))"},
        ),
        Query(
            "ties",
            "SELECT field, first(value, ts) AS v_first, last(value, ts) AS v_last, first(sensor, ts) AS s_first,"
            " last(sensor, ts) AS s_last FROM bucharest GROUP BY field ORDER BY field",
            judged=False,
        ),
        Query(
            "resent",
            "SELECT field, sensor, ts, count(*) AS n FROM bucharest GROUP BY 1, 2, 3 HAVING count(*) > 2"
            " ORDER BY n DESC, field, sensor, ts LIMIT 20",
        ),
    ),
)

METRO = DataSet(
    name="metro",
    config="metro.yaml",
    dataset="metro",
    source="metro-interstate-traffic-volume-2012-2018.csv.xz",
    pattern="metro*.csv",
    rows=48204,
    columns=(
        ("ts", "TIMESTAMPTZ"),
        ("holiday", "VARCHAR"),
        ("temp", "DOUBLE"),
        ("rain_1h", "DOUBLE"),
        ("snow_1h", "DOUBLE"),
        ("clouds", "INTEGER"),
        ("weather", "VARCHAR"),
        ("description", "VARCHAR"),
        ("traffic", "INTEGER"),
    ),
    select=(
        "SELECT date_time::TIMESTAMP AT TIME ZONE 'UTC' AS ts, nullif(holiday, 'None') AS holiday,"
        " temp::DOUBLE AS temp,"
        " rain_1h::DOUBLE AS rain_1h, snow_1h::DOUBLE AS snow_1h, clouds_all::INTEGER AS clouds,"
        " weather_main AS weather, weather_description AS description, traffic_volume::INTEGER AS traffic FROM "
        + CSV + ")"
    ),
    queries=(
        Query(
            "weather",
            "SELECT weather, description, count(*) AS n, avg(traffic) AS mean, max(rain_1h) AS rain_max,"
            " min(temp) AS temp_min /*scales*/ FROM metro GROUP BY 1, 2 ORDER BY n DESC, 1, 2",
            {"mean": "max(abs(traffic))"},
        ),
        Query(
            "holidays",
            "SELECT holiday, count(*) AS n, sum(traffic) AS total, max(temp) AS warmest FROM metro"
            " WHERE holiday IS NOT NULL GROUP BY holiday ORDER BY total DESC, holiday",
        ),
        Query(
            "ties",
            "SELECT holiday, first(weather, ts) AS w_first, last(description, ts) AS d_last, last(temp, ts) AS t_last"
            " FROM metro GROUP BY holiday ORDER BY holiday",
            judged=False,
        ),
        Query(
            "rush_hours",
            "SELECT extract(hour FROM ts) AS hour, avg(traffic) AS mean, stddev(temp) AS temp_dev, sum(rain_1h) AS rain"
            " /*scales*/ FROM metro WHERE temp > 0 AND rain_1h < 1000 GROUP BY 1 ORDER BY 1",
            {"mean": "max(abs(traffic))", "temp_dev": "max(abs(temp))", "rain": "sum(abs(rain_1h))"},
        ),
        Query(
            "duplicate_hours",
            "SELECT ts, count(*) AS n, count(DISTINCT weather) AS kinds FROM metro GROUP BY ts HAVING count(*) > 3"
            " ORDER BY n DESC, ts LIMIT 40",
        ),
        Query(
            "years",
            "SELECT date_trunc('year', ts) AS year, count(*) AS n, sum(temp) AS temps, sum(snow_1h) AS snow,"
            " max(clouds) AS clouds /*scales*/ FROM metro GROUP BY 1 ORDER BY 1",
            {"temps": "sum(abs(temp))", "snow": "sum(abs(snow_1h))"},
        ),
    ),
)

WEATHER_DOUBLES = ("temp", "dewp", "humid", "wind_dir", "wind_speed", "wind_gust", "precip", "pressure", "visib")
WEATHER = DataSet(
    name="weather",
    config="weather.yaml",
    dataset="weather",
    source="nyc-airports-hourly-weather-2013.csv.xz",
    pattern="nyc-airports*.csv",
    rows=26115,
    columns=(("origin", "VARCHAR"), ("ts", "TIMESTAMPTZ"))
    + tuple((name, "INTEGER") for name in ("year", "month", "day", "hour"))
    + tuple((name, "INTEGER" if name == "wind_dir" else "DOUBLE") for name in WEATHER_DOUBLES),
    select=(
        'SELECT origin, time_hour::TIMESTAMPTZ AS ts, "year"::INTEGER AS year, "month"::INTEGER AS month,'
        ' "day"::INTEGER AS day, "hour"::INTEGER AS hour, '
        + ", ".join(f"{name}::{'INTEGER' if name == 'wind_dir' else 'DOUBLE'} AS {name}" for name in WEATHER_DOUBLES)
        + " FROM " + CSV + ", nullstr='NA')"
    ),
    queries=(
        Query(
            "airports",
            "SELECT origin, count(*) AS n, count(wind_gust) AS gusts, avg(temp) AS temp_avg, sum(precip) AS rain,"
            " stddev(pressure) AS pressure_dev /*scales*/ FROM weather GROUP BY origin ORDER BY origin",
            {"temp_avg": "max(abs(temp))", "rain": "sum(abs(precip))", "pressure_dev": "max(abs(pressure))"},
        ),
        Query(
            "months",
            "SELECT month, origin, min(temp) AS coldest, max(temp) AS hottest, last(pressure, ts) AS pressure_last,"
            " count(pressure) AS n FROM weather GROUP BY month, origin ORDER BY month, origin",
        ),
        Query(
            "storms",
            "SELECT origin, ts, wind_speed, wind_gust, wind_dir FROM weather WHERE wind_speed > 30 OR wind_gust > 45"
            " ORDER BY wind_speed DESC NULLS LAST, wind_gust DESC NULLS LAST, origin, ts LIMIT 30",
        ),
        Query(
            "local_hours",
            "SELECT extract(hour FROM ts) AS local_hour, avg(visib) AS visib_avg, avg(humid) AS humid_avg /*scales*/"
            " FROM weather WHERE precip = 0 GROUP BY 1 ORDER BY 1",
            {"visib_avg": "max(abs(visib))", "humid_avg": "max(abs(humid))"},
            "America/New_York",
        ),
    ),
)

FLIGHT_COLUMNS = (
    "year", "month", "day", "dep_time", "sched_dep_time", "dep_delay", "arr_time", "sched_arr_time", "arr_delay",
    "flight", "tailnum", "dest", "air_time", "distance", "hour", "minute",
)
FLIGHTS = DataSet(
    name="flights",
    config="flights.yaml",
    dataset="flights",
    source="nyc-flights-2013.csv.xz",
    pattern="nyc-flights*.csv",
    rows=336776,
    columns=(("origin", "VARCHAR"), ("carrier", "VARCHAR"), ("ts", "TIMESTAMPTZ"))
    + tuple((name, "VARCHAR" if name in ("tailnum", "dest") else "INTEGER") for name in FLIGHT_COLUMNS),
    select=(
        "SELECT origin, carrier, time_hour::TIMESTAMPTZ AS ts, "
        + ", ".join(f'"{name}"' + ("" if name in ("tailnum", "dest") else f"::INTEGER AS {name}")
                    for name in FLIGHT_COLUMNS)
        + " FROM " + CSV + ", nullstr='NA')"
    ),
    queries=(
        Query(
            "carriers",
            "SELECT carrier, count(*) AS n, avg(dep_delay) AS dep_avg, sum(arr_delay) AS arr_sum,"
            " max(air_time) AS longest"
            " /*scales*/ FROM flights GROUP BY 1 ORDER BY n DESC, 1",
            {"dep_avg": "max(abs(dep_delay))"},
        ),
        Query(
            "cancelled",
            "SELECT origin, month, count(*) AS n, count(dep_time) AS flown, count(*) - count(dep_time) AS cancelled"
            " FROM flights GROUP BY 1, 2 ORDER BY 1, 2",
        ),
        Query(
            "routes",
            "SELECT origin, dest, count(*) AS n, min(distance) AS miles, stddev(arr_delay) AS delay_dev /*scales*/"
            " FROM flights WHERE distance > 1000 GROUP BY origin, dest HAVING count(*) >= 100"
            " ORDER BY n DESC, origin, dest LIMIT 40",
            {"delay_dev": "max(abs(arr_delay))"},
        ),
        Query(
            "planes",
            "SELECT tailnum, count(*) AS n, sum(distance) AS miles, count(DISTINCT dest) AS places FROM flights"
            " WHERE tailnum IS NOT NULL GROUP BY 1 ORDER BY miles DESC, tailnum LIMIT 25",
        ),
        Query(
            "local_days",
            "SELECT date_trunc('day', ts) AS day, count(*) AS n, count(DISTINCT carrier) AS carriers,"
            " sum(CASE WHEN dep_delay > 60 THEN 1 ELSE 0 END) AS late FROM flights WHERE dest = 'LAX' GROUP BY 1"
            " ORDER BY late DESC, 1 LIMIT 20",
            timezone="America/New_York",
        ),
    ),
)

WIKIPEDIA_FIELDS = (
    # (column, field of the message, DuckDB type)
    ("channel", "channel", "VARCHAR"), ("ts", "time", "TIMESTAMPTZ"), ("city", "cityName", "VARCHAR"),
    ("comment", "comment", "VARCHAR"), ("country_code", "countryIsoCode", "VARCHAR"),
    ("country", "countryName", "VARCHAR"), ("is_anonymous", "isAnonymous", "BOOLEAN"),
    ("is_minor", "isMinor", "BOOLEAN"), ("is_new", "isNew", "BOOLEAN"), ("is_robot", "isRobot", "BOOLEAN"),
    ("is_unpatrolled", "isUnpatrolled", "BOOLEAN"), ("metro", "metroCode", "INTEGER"),
    ("namespace", "namespace", "VARCHAR"), ("page", "page", "VARCHAR"), ("region_code", "regionIsoCode", "VARCHAR"),
    ("region", "regionName", "VARCHAR"), ("author", "user", "VARCHAR"), ("delta", "delta", "BIGINT"),
    ("added", "added", "BIGINT"), ("deleted", "deleted", "BIGINT"),
)
WIKIPEDIA = DataSet(
    name="wikipedia",
    config="wikipedia.yaml",
    dataset="edits",
    source="wikipedia-edits-2015-09-12.ndjson.xz",
    pattern="wikipedia*.ndjson",
    rows=39244,
    columns=tuple((column, kind) for column, _, kind in WIKIPEDIA_FIELDS),
    select=(
        "SELECT " + ", ".join(f'"{source}" AS {column}' for column, source, _ in WIKIPEDIA_FIELDS)
        + " FROM read_json({files}, format='newline_delimited', columns={{"
        + ", ".join(f"'{source}': '{kind}'" for _, source, kind in WIKIPEDIA_FIELDS)
        + "}})"
    ),
    queries=(
        Query(
            "channels",
            "SELECT channel, count(*) AS n, count(DISTINCT author) AS authors, sum(delta) AS net, max(added) AS most"
            " FROM edits GROUP BY channel ORDER BY n DESC, channel",
        ),
        Query(
            "robots",
            "SELECT is_robot, is_anonymous, is_minor AND is_new AS both, count(*) AS n, avg(delta) AS delta_avg,"
            " count(country) AS placed /*scales*/ FROM edits GROUP BY 1, 2, 3 ORDER BY 1, 2, 3",
            {"delta_avg": "max(abs(delta))"},
        ),
        Query(
            "places",
            "SELECT country, city, count(*) AS n, min(page) AS page_min, max(page) AS page_max FROM edits"
            " WHERE country IS NOT NULL GROUP BY 1, 2 ORDER BY n DESC, country, city NULLS LAST LIMIT 50",
        ),
        Query(
            "hours",
            "SELECT date_trunc('hour', ts) AS hour, count(*) AS n, sum(added) AS added, sum(deleted) AS deleted,"
            " count(metro) AS metros FROM edits GROUP BY 1 ORDER BY 1",
        ),
        Query(
            "texts",
            "SELECT page, comment, author, ts FROM edits WHERE namespace = 'Main' AND comment LIKE '%revert%'"
            " AND delta < -100 ORDER BY delta, page, ts LIMIT 30",
        ),
        Query(
            "lengths",
            "SELECT namespace, max(length(comment)) AS longest, min(length(page)) AS shortest,"
            " count(DISTINCT page) AS pages FROM edits GROUP BY 1 ORDER BY 2 DESC, 1 LIMIT 40",
        ),
    ),
)

US_FLIGHTS = DataSet(
    name="us-flights",
    config="us-flights.yaml",
    dataset="us_flights",
    source="us-flights-2001h1-3m.parquet",
    pattern="us-flights*.parquet",
    rows=3000000,
    columns=(("origin", "VARCHAR"), ("destination", "VARCHAR"), ("ts", "TIMESTAMPTZ"), ("delay", "BIGINT"), ("distance", "BIGINT")),
    select="SELECT origin, destination, date AT TIME ZONE 'UTC' AS ts, delay, distance FROM read_parquet({files})",
)

AIRLINES = DataSet(
    name="airlines",
    config="lookups.yaml",
    dataset="airlines",
    source="nyc-airlines.csv",
    pattern="nyc-airlines.csv",
    rows=16,
    columns=(("carrier", "VARCHAR"), ("name", "VARCHAR")),
    select="SELECT carrier, name FROM " + CSV + ")",
)
AIRPORTS = DataSet(
    name="airports",
    config="lookups.yaml",
    dataset="airports",
    source="us-airports.csv",
    pattern="us-airports.csv",
    rows=3376,
    columns=(("iata", "VARCHAR"), ("name", "VARCHAR"), ("city", "VARCHAR"), ("state", "VARCHAR"),
             ("country", "VARCHAR"), ("latitude", "DOUBLE"), ("longitude", "DOUBLE")),
    select="SELECT iata, name, nullif(city, 'NA') AS city, nullif(state, 'NA') AS state, country,"
    " latitude::DOUBLE AS latitude, longitude::DOUBLE AS longitude FROM " + CSV + ")",
)

QUERIED = (HANOI, BUCHAREST, METRO, WEATHER, FLIGHTS, WIKIPEDIA)
CSV_SETS = (BEIJING, *QUERIED, AIRLINES, AIRPORTS)
FLOATS = DataSet(
    name="floats",
    config="lookups.yaml",
    dataset="floats",
    source="float-columns.tar.xz",
    pattern="**/*.bin",
    select="",
    columns=(),
    rows=0,
)


def columns_of_doubles(folder):
    """{name: values} of an unpacked FLOATS."""
    found = {}
    for path in sorted(folder.glob("**/*.bin")):
        data = path.read_bytes()
        found[path.stem] = struct.unpack(f"<{len(data) // 8}d", data[: len(data) // 8 * 8])
    for path in sorted(folder.glob("**/*.csv")):
        found[path.stem] = tuple(float(word) for word in path.read_text().replace(",", " ").split())
    return found


def write_doubles(columns, path):
    """CSV of the dataset `floats`, each value so that it reads back to the same bits."""
    with path.open("w", newline="") as out:
        csv.writer(out).writerows([("name", "n", "value"), *((name, n, repr(value)) for name, values in columns.items() for n, value in enumerate(values))])


JSON_SUITE = DataSet(
    name="json-suite",
    config="text.yaml",
    dataset="documents",
    source="json-parsing-suite.tar.xz",
    pattern="test_parsing/*.json",
    select="",
    columns=(),
    rows=0,
)
NAUGHTY = DataSet(
    name="naughty",
    config="text.yaml",
    dataset="strings",
    source="blns.json",
    pattern="blns.json",
    select="",
    columns=(),
    rows=515,
)


@dataclass
class MessageSet:
    """Messages with a few paths named as columns and the rest kept as JSON."""

    name: str
    source: str
    pattern: str
    paths: dict  # column -> path of steps
    time: object  # message -> microseconds since 1970
    sample: str = None

    def expected(self, message):
        """What the named columns must hold, times as microseconds."""
        values = {column: reach(message, path) for column, path in self.paths.items()}
        return {**values, "ts": self.time(message)}

    def named(self, row):
        """The same of an exported row."""
        return {**{column: row[column] for column in self.paths}, "ts": instant(row["ts"])}

    def rest(self, message):
        """A message less every member that a column names."""
        rest = copy.deepcopy(message)
        for path in (*self.paths.values(), *TIME_PATHS[self.name]):
            parent = reach(rest, path[:-1])
            if isinstance(parent, dict):
                parent.pop(path[-1], None)
        return prune(rest)


def reach(value, path):
    """The value at a path, or None."""
    for step in path:
        if isinstance(value, dict):
            value = value.get(step)
        elif isinstance(value, list) and isinstance(step, int) and step < len(value):
            value = value[step]
        else:
            return None
    return value


def prune(value):
    """Objects that lost their last member go too: whether an empty shell is kept does not matter."""
    if isinstance(value, dict):
        kept = {name: prune(member) for name, member in value.items()}
        return {name: member for name, member in kept.items() if member != {}}
    return [prune(member) for member in value] if isinstance(value, list) else value


TIME_PATHS = {
    "aqicn": (("payload", "time", "iso"), ("payload", "time", "s"), ("payload", "time", "tz")),
    "changes": (("timestamp",),),
}
MESSAGES = {
    "aqicn": MessageSet(
        "aqicn",
        "aqicn-hanoi-danang-messages-2025-02.ndjson.xz",
        "aqicn*.ndjson",
        {
            "city": ("city",),
            "station": ("payload", "idx"),
            "aqi": ("payload", "aqi"),
            "pm25": ("payload", "iaqi", "pm25", "v"),
            "first_url": ("payload", "attributions", 0, "url"),
        },
        lambda message: instant(message["payload"]["time"]["iso"]),
        "air-quality/aqicn-2025-02.ndjson.xz",
    ),
    "changes": MessageSet(
        "changes",
        "wikimedia-recentchange-2023-07-29.ndjson",
        "wikimedia*.ndjson",
        {
            "wiki": ("wiki",),
            "title": ("title",),
            "author": ("user",),
            "bot": ("bot",),
            "uri": ("meta", "uri"),
            "length_new": ("length", "new"),
        },
        lambda message: message["timestamp"] * 1_000_000,
    ),
}
