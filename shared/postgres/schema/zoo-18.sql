-- What PostgreSQL 18 adds.
create table public.booking (
  room int4range, during tsrange, price int constraint priced not null, double_price int generated always as (price * 2) virtual,
  constraint booking_pk primary key (room, during without overlaps),
  constraint big check (price < 100) not enforced
);
create table public.booked (
  room int4range, during tsrange, note text,
  foreign key (room, period during) references public.booking (room, period during)
);
create table public.loose (id int, a int);
alter table public.loose add constraint a_there not null a not valid;
alter table public.loose add constraint id_there not null id no inherit;
